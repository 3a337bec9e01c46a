"""The plots of a report. matplotlib belongs to the training environment, so import this lazily."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from models.evaluation.evaluate import MEASURES
from models.evaluation.report.markdown import title

_KINDS = {"words": "#4477aa", "meaning": "#ccbb44", "both": "#ee6677"}
_COLOURS = {"L": "#4477aa", "S": "#ee6677", "P": "#228833"}


def draw(folder: Path, report: Mapping[str, Any]) -> list[str]:
    """Write the plots into a folder. Returns their names."""
    _systems(folder / "systems.png", report)
    _by_signals(folder / "by-signals.png", report)
    drawn = ["systems.png", "by-signals.png"]
    if report["searched_by"]:
        _searched_by(folder / "searched-by.png", report)
        drawn.append("searched-by.png")
    if report["ablations"]:
        _ablations(folder / "parts.png", report)
        drawn.append("parts.png")
    return drawn


def _systems(path: Path, report: Mapping[str, Any]) -> None:
    """A bar for each system and reading, with its interval, in each measure."""
    systems = [system for system in report["systems"] if system["recall@50"]]
    figure = Figure(figsize=(13, 1.6 + 0.32 * len(systems)), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    places = range(len(systems))
    colours = [_COLOURS[system["reading"]] for system in systems]
    for axis, name in zip(axes, MEASURES, strict=True):
        intervals = [system[name] for system in systems]
        means = [interval["mean"] for interval in intervals]
        axis.barh(places, means, xerr=around(intervals), color=colours, ecolor="#333333", capsize=2)
        axis.set_title(name)
        axis.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(places, [f"{system['name']} ({system['reading']})" for system in systems])
    axes[0].invert_yaxis()
    _finish(figure, path, report)


def _by_signals(path: Path, report: Mapping[str, Any]) -> None:
    """Recall@50 of each list alone by the number of signals; cold users stand apart."""
    rows = report["by_signals"]
    bins = list(dict.fromkeys(row["signals"] for row in rows))
    cold = {row["signals"] for row in rows if row["cold"]}
    students = {system["name"] for system in report["systems"] if system["student"]}
    wanted = [*students, "own signals", "tf-idf", "heuristic", report["best_baseline"]]
    figure = Figure(figsize=(9, 5), layout="constrained")
    axis = figure.subplots()
    at = {label: place + (0 if label in cold else 0.5) for place, label in enumerate(bins)}
    for number, name in enumerate(dict.fromkeys(wanted)):
        own = [row for row in rows if row["name"] == name and row["recall@50"]]
        for part in (cold, set(bins) - cold):
            shown = [row for row in own if row["signals"] in part]
            if not shown:
                continue
            intervals = [row["recall@50"] for row in shown]
            axis.errorbar(
                [at[row["signals"]] + 0.03 * number for row in shown],
                [interval["mean"] for interval in intervals],
                yerr=around(intervals),
                marker="o",
                capsize=2,
                color=f"C{number}",
                linewidth=2.5 if name in students else 1.2,
                label=name if part is cold or not cold else None,
            )
    many = {row["signals"]: row["users"] for row in rows}
    axis.set_xticks(
        [at[label] for label in bins],
        [f"{label}{' (cold)' if label in cold else ''}\n{many[label]:,} users" for label in bins],
    )
    axis.set_xlabel("signals of the user")
    axis.set_ylabel("Recall@50 of the list alone (L)")
    axis.grid(alpha=0.3)
    axis.legend()
    _finish(figure, path, report)


def _searched_by(path: Path, report: Mapping[str, Any]) -> None:
    """Recall@50 of every list by words, by meaning and by both: a group of bars for each."""
    rows = report["searched_by"]
    figure = Figure(figsize=(9, 1.6 + 0.6 * len(rows)), layout="constrained")
    axis = figure.subplots()
    for number, kind in enumerate(("words", "meaning", "both")):
        intervals = [row["by"][kind]["recall@50"] for row in rows]
        axis.barh(
            [place + 0.27 * (number - 1) for place in range(len(rows))],
            [interval["mean"] for interval in intervals],
            0.25,
            xerr=around(intervals),
            color=_KINDS[kind],
            ecolor="#333333",
            capsize=2,
            label=kind,
        )
    axis.set_yticks(range(len(rows)), [f"{row['name']} ({row['reading']})" for row in rows])
    axis.invert_yaxis()
    axis.set_xlabel("Recall@50")
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside right upper")
    _finish(figure, path, report)


def _ablations(path: Path, report: Mapping[str, Any]) -> None:
    """What each part of S brings in Recall@50, paired by person, with its interval."""
    rows = report["ablations"]
    parts = [part["part"] for part in rows[0]["parts"]]
    figure = Figure(figsize=(9, 1.6 + 0.5 * len(parts)), layout="constrained")
    axis = figure.subplots()
    for number, row in enumerate(rows):
        brought = [part["brings"]["recall@50"]["difference"] for part in row["parts"]]
        axis.errorbar(
            [interval["mean"] for interval in brought],
            [place + 0.15 * number for place in range(len(parts))],
            xerr=around(brought),
            fmt="o",
            capsize=2,
            color=f"C{number}",
            label=row["name"],
        )
    axis.axvline(0.0, color="#333333", linewidth=0.8)
    axis.set_yticks(range(len(parts)), parts)
    axis.invert_yaxis()
    axis.set_xlabel("Recall@50 of S as served, less without the part")
    axis.grid(axis="x", alpha=0.3)
    axis.legend()
    _finish(figure, path, report)


def around(intervals: Sequence[Mapping[str, float]]) -> list[list[float]]:
    """How far intervals reach below and above their means: (2, n), as matplotlib wants it."""
    return [
        [interval["mean"] - interval["low"] for interval in intervals],
        [interval["high"] - interval["mean"] for interval in intervals],
    ]


def _finish(figure: Figure, path: Path, report: Mapping[str, Any]) -> None:
    figure.suptitle(title(report))
    figure.savefig(path, dpi=120)
