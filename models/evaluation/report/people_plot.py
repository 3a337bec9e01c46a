"""The plot of an evaluation on people. matplotlib is optional, so import this lazily."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from models.evaluation.report.plots import around

_PLOTTED = ("ndcg@20", "p@10", "covered")
_STUDENT, _EDITOR, _OTHER = "#ee6677", "#228833", "#4477aa"


def draw_people(folder: Path, report: Mapping[str, Any]) -> list[str]:
    """A bar for each system, with its interval, in three measures. Returns the file's name."""
    systems = [one for one in report["systems"] if one["ndcg@20"]]
    figure = Figure(figsize=(13, 1.6 + 0.32 * len(systems)), layout="constrained")
    panels = figure.subplots(1, len(_PLOTTED), sharey=True)
    places = range(len(systems))
    colours = [
        _STUDENT if one["student"] else _EDITOR if one["name"] == "editor" else _OTHER
        for one in systems
    ]
    for axis, name in zip(panels, _PLOTTED, strict=True):
        intervals = [one[name] for one in systems]
        means = [one["mean"] for one in intervals]
        axis.barh(places, means, xerr=around(intervals), color=colours, ecolor="#333333", capsize=2)
        axis.set_title(name)
        axis.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(places, [one["label"] for one in systems])
    panels[0].invert_yaxis()
    figure.suptitle("Written people: no real reader stands behind a figure", fontsize=9)
    figure.savefig(folder / "people.png", dpi=110)
    return ["people.png"]
