"""Panels as SVG in one HTML page, about as Grafana lays them out. Nothing here asks anybody."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import pairwise

from deploy.grafana.panels import Dashboard, Panel

_COLOURS = (
    *("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2"),
    *("#9d755d", "#eeca3b", "#ff9da6", "#79706e", "#1f77b4", "#2ca02c"),
)
_WIDTH, _HEIGHT = 480, 200
_GAP = 1 / 40
"""Share of the time shown that a line may be without a value before it is cut."""
_LEFT, _BOTTOM, _TOP, _RIGHT = 58, 22, 8, 8
_PAGE = """<!doctype html><meta charset="utf-8"><title>{title}</title><style>
body {{ margin: 16px; width: 1560px; background: #f4f5f5; color: #24292e; font: 13px sans-serif; }}
main {{ display: grid; grid-template-columns: repeat(24, 1fr); gap: 8px; }}
h2 {{ grid-column: 1 / -1; margin: 10px 0 0; font-size: 15px; }}
section {{ background: #fff; border: 1px solid #d8dadd; padding: 6px 8px; min-width: 0; }}
h3 {{ margin: 0 0 4px; font-size: 13px; }}
p {{ margin: 2px 0 0; font-size: 11px; line-height: 1.35; }}
b {{ font-weight: normal; white-space: nowrap; margin-right: 10px; }}
i {{ display: inline-block; width: 10px; height: 3px; margin: 0 4px 3px 0; }}
.stat {{ font-size: 26px; padding: 10px 0; text-align: center; }}
svg {{ width: 100%; display: block; }} text {{ font: 11px sans-serif; fill: #586069; }}
</style><h1>{title}</h1><main>{body}</main>
"""


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a graph: what it is called, and its points (seconds since 1970, value) in order."""

    name: str
    points: tuple[tuple[float, float], ...]


def named_by(legend: str, labels: Mapping[str, str]) -> str:
    """A series' name by Grafana's pattern: `{{label}}` stands for its value."""
    if not legend:
        return ", ".join(f"{name}={value}" for name, value in sorted(labels.items())) or "value"
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend)


def shown(value: float, unit: str) -> str:
    """A value in the panel's unit."""
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
    if unit == "bytes":
        return f"{value / 2**20:,.0f} MiB"
    digits = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return digits + ("/s" if unit == "reqps" else "")


def page(
    dashboard: Dashboard, series: Mapping[str, Sequence[Series]], start: float, end: float
) -> str:
    """The dashboard as HTML; `series` of each panel by its title, between two moments."""
    parts = []
    for row in dashboard.rows:
        parts.append(f"<h2>{escape(row.title)}</h2>")
        for panel in row.panels:
            there = series[panel.title]
            drawn = stat(panel, there) if panel.kind == "stat" else graph(panel, there, start, end)
            parts.append(
                f'<section style="grid-column: span {panel.width}"><h3>{escape(panel.title)}</h3>'
                f"{drawn}</section>"
            )
    return _PAGE.format(title=escape(dashboard.title), body="".join(parts))


def stat(panel: Panel, series: Sequence[Series]) -> str:
    """The newest value in large, in the colour of its step."""
    if not series or not series[0].points:
        return '<div class="stat">no data</div>'
    value = series[0].points[-1][1]
    colour = "#c8e6c9"
    for step, painted in zip(panel.steps, ("#fff2b3", "#f8c7c7"), strict=False):
        colour = painted if value >= step else colour
    return f'<div class="stat" style="background: {colour}">{shown(value, panel.unit)}</div>'


def graph(panel: Panel, series: Sequence[Series], start: float, end: float) -> str:
    """Lines, or areas on top of each other, with axes and a legend, between two moments."""
    drawn = [one for one in series if one.points]
    if not drawn:
        return '<div class="stat">no data</div>'
    lines = _stacked(drawn) if panel.stacked else [one.points for one in drawn]
    top = _ceiling(max(value for line in lines for _, value in line))

    def place(moment: float, value: float) -> str:
        x = _LEFT + (moment - start) / (end - start) * (_WIDTH - _LEFT - _RIGHT)
        y = _TOP + (1 - value / top) * (_HEIGHT - _TOP - _BOTTOM)
        return f"{x:.1f},{y:.1f}"

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}">']
    for quarter in range(5):
        value = top * quarter / 4
        x, y = place(start, value).split(",")
        parts.append(f'<path d="M{x},{y}H{_WIDTH - _RIGHT}" stroke="#e4e6e8"/>')
        parts.append(
            f'<text x="{_LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end">'
            f"{shown(value, panel.unit)}</text>"
        )
        moment = start + (end - start) * quarter / 4
        clock = datetime.fromtimestamp(moment, UTC).strftime("%H:%M")
        anchor = ("start", "middle", "middle", "middle", "end")[quarter]
        parts.append(
            f'<text x="{place(moment, 0).split(",")[0]}" y="{_HEIGHT - 6}"'
            f' text-anchor="{anchor}">{clock}</text>'
        )
    for number in reversed(range(len(lines))):
        colour = _COLOURS[number % len(_COLOURS)]
        if panel.stacked:
            line = " ".join(place(*point) for point in lines[number])
            first, last = lines[number][0][0], lines[number][-1][0]
            area = f"{place(first, 0)} {line} {place(last, 0)}"
            parts.append(f'<polygon points="{area}" fill="{colour}"/>')
            continue
        for piece in _pieces(lines[number], (end - start) * _GAP):
            line = " ".join(place(*point) for point in piece)
            parts.append(
                f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
            )
    names = (
        f'<b><i style="background: {_COLOURS[number % len(_COLOURS)]}"></i>{escape(one.name)}</b> '
        for number, one in enumerate(drawn)
    )
    return "".join(parts) + "</svg><p>" + "".join(names) + "</p>"


def _pieces(line: Sequence[tuple[float, float]], gap: float) -> list[list[tuple[float, float]]]:
    """The line, cut where two points are further apart than `gap` seconds."""
    pieces = [[line[0]]]
    for before, point in pairwise(line):
        if point[0] - before[0] > gap:
            pieces.append([])
        pieces[-1].append(point)
    return pieces


def _stacked(series: Sequence[Series]) -> list[tuple[tuple[float, float], ...]]:
    """Each line on top of those before it; a line that has no value somewhere counts as 0 there."""
    moments = sorted({moment for one in series for moment, _ in one.points})
    below = dict.fromkeys(moments, 0.0)
    lines = []
    for one in series:
        for moment, value in one.points:
            below[moment] += value
        lines.append(tuple(below.items()))
    return lines


def _ceiling(most: float) -> float:
    """A round value above all others, never 0."""
    if most <= 0:
        return 1.0
    size = 10.0 ** (len(f"{int(most)}") - 1) if most >= 1 else 10.0 ** -len(_zeros(most))
    return next(size * step for step in (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10) if size * step >= most)


def _zeros(small: float) -> str:
    """As many characters as the first digit that is not 0 stands behind the point."""
    digits = f"{small:.12f}".partition(".")[2]
    return digits[: len(digits) - len(digits.lstrip("0")) + 1]
