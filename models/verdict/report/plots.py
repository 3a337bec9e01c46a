"""The plots of a report, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_BLUE, _RED, _GREY = "#4477aa", "#ee6677", "#999999"


def draw(report: Mapping[str, Any]) -> dict[str, str]:
    """SVG by name of the plot."""
    drawn = {}
    for number, one in enumerate(report["comparisons"]):
        name = f"looks-{number}"
        known = [row for row in one["looks"] if row["change"] is not None]
        if known:
            drawn[name] = _looks(known)
        name = f"segments-{number}"
        known = [row for row in one["segments"] if row["effect"] is not None]
        if known:
            drawn[name] = _segments(known)
    if report["sample_ratio"]["looks"]:
        drawn["users"] = _users(report["sample_ratio"])
    return drawn


def _looks(rows: list[dict[str, Any]]) -> str:
    figure = Figure(figsize=(7, 3), layout="constrained")
    axis = figure.subplots()
    days = [row["day"] for row in rows]
    low, change, high = ([100 * row[name] for row in rows] for name in ("low", "change", "high"))
    axis.fill_between(days, low, high, color=_BLUE, alpha=0.25, linewidth=0)
    axis.plot(days, change, color=_BLUE, marker="o", markersize=3)
    axis.axhline(0, color=_GREY, linewidth=1)
    axis.set_ylabel("change of click-through, %")
    _days(axis)
    if len(high) > 1:  # the first days know next to nothing: their width would hide the rest
        reach = 1.2 * max(abs(value) for value in (*low[len(low) // 4 :], *high[len(high) // 4 :]))
        axis.set_ylim(-reach, reach)
    return _svg(figure, axis)


def _segments(rows: list[dict[str, Any]]) -> str:
    figure = Figure(figsize=(7, 1 + 0.3 * len(rows)), layout="constrained")
    axis = figure.subplots()
    effects = [row["effect"] for row in rows]
    change = [100 * one["change"] for one in effects]
    below = [100 * (one["change"] - one["low"]) for one in effects]
    above = [100 * (one["high"] - one["change"]) for one in effects]
    axis.errorbar(change, range(len(rows)), xerr=[below, above], fmt="o", color=_BLUE, ecolor=_GREY)
    axis.set_yticks(range(len(rows)), [row["segment"] for row in rows])
    axis.invert_yaxis()
    axis.axvline(0, color=_GREY, linewidth=1)
    axis.set_xlabel("change of click-through, %")
    return _svg(figure, axis)


def _users(ratio: Mapping[str, Any]) -> str:
    figure = Figure(figsize=(7, 2.5), layout="constrained")
    axis = figure.subplots()
    first = next(iter(ratio["planned"]))
    looks = [look for look in ratio["looks"] if sum(look["users"].values())]
    shares = [100 * look["users"][first] / sum(look["users"].values()) for look in looks]
    axis.plot([look["day"] for look in looks], shares, color=_BLUE, marker="o", markersize=3)
    axis.axhline(100 * ratio["planned"][first], color=_RED, linewidth=1)
    axis.set_ylabel(f"users in {first}, %")
    _days(axis)
    return _svg(figure, axis)


def _days(axis: Axes) -> None:
    axis.set_xlabel("day")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def _svg(figure: Figure, axis: Axes) -> str:
    axis.grid(alpha=0.3)
    out = StringIO()
    # Without a salt of ours, two reports of the same events would differ.
    with rc_context({"svg.hashsalt": "interests", "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()
