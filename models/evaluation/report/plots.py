"""The plots of a report. matplotlib belongs to the training environment, so import this lazily."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from models.evaluation.report.markdown import title

_COLOURS = {"L": "#4477aa", "S": "#ee6677", "P": "#228833"}
_MEASURES = ("recall@50", "recall@100", "ndcg@50")


def draw(folder: Path, report: Mapping[str, Any]) -> list[str]:
    """Write the plots into a folder. Returns their names."""
    _systems(folder / "systems.png", report)
    _by_signals(folder / "by-signals.png", report)
    return ["systems.png", "by-signals.png"]


def _systems(path: Path, report: Mapping[str, Any]) -> None:
    """A bar for each system and reading, with its interval, in each measure."""
    systems = [one for one in report["systems"] if one["recall@50"]]
    figure = Figure(figsize=(13, 1.6 + 0.32 * len(systems)), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    places = range(len(systems))
    for axis, name in zip(axes, _MEASURES, strict=True):
        means = [one[name]["mean"] for one in systems]
        bounds = [
            [one[name]["mean"] - one[name]["low"] for one in systems],
            [one[name]["high"] - one[name]["mean"] for one in systems],
        ]
        colours = [_COLOURS[one["reading"]] for one in systems]
        axis.barh(places, means, xerr=bounds, color=colours, ecolor="#333333", capsize=2)
        axis.set_title(name)
        axis.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(places, [f"{one['name']} ({one['reading']})" for one in systems])
    axes[0].invert_yaxis()
    _finish(figure, path, report)


def _by_signals(path: Path, report: Mapping[str, Any]) -> None:
    """Recall@50 of each list alone by the number of signals; cold users stand apart."""
    rows = report["by_signals"]
    bins = list(dict.fromkeys(one["signals"] for one in rows))
    cold = {one["signals"] for one in rows if one["cold"]}
    students = {one["name"] for one in report["systems"] if one["student"]}
    wanted = [*students, "own signals", "tf-idf", "heuristic", report["best_baseline"]]
    figure = Figure(figsize=(9, 5), layout="constrained")
    axis = figure.subplots()
    at = {label: place + (0 if label in cold else 0.5) for place, label in enumerate(bins)}
    for number, name in enumerate(dict.fromkeys(wanted)):
        for part in (cold, set(bins) - cold):
            own = [
                one
                for one in rows
                if one["name"] == name and one["signals"] in part and one["recall@50"]
            ]
            if not own:
                continue
            values = [one["recall@50"] for one in own]
            axis.errorbar(
                [at[one["signals"]] + 0.03 * number for one in own],
                [one["mean"] for one in values],
                yerr=[
                    [one["mean"] - one["low"] for one in values],
                    [one["high"] - one["mean"] for one in values],
                ],
                marker="o",
                capsize=2,
                color=f"C{number}",
                linewidth=2.5 if name in students else 1.2,
                label=name if part is cold or not cold else None,
            )
    many = {one["signals"]: one["users"] for one in rows}
    axis.set_xticks(
        [at[label] for label in bins],
        [f"{label}{' (cold)' if label in cold else ''}\n{many[label]:,} users" for label in bins],
    )
    axis.set_xlabel("signals of the user")
    axis.set_ylabel("Recall@50 of the list alone (L)")
    axis.grid(alpha=0.3)
    axis.legend()
    _finish(figure, path, report)


def _finish(figure: Figure, path: Path, report: Mapping[str, Any]) -> None:
    figure.suptitle(title(report))
    figure.savefig(path, dpi=120)
