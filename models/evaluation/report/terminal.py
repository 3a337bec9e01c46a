"""A report as a terminal shows it: its tables, and each student against the best baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from models.evaluation.report.markdown import (
    BESIDE_POPULARITY,
    measures_of,
    shown,
    source_line,
    title,
)

Json = Mapping[str, Any]
_GAP = " "
"""Between columns: five measures fit into 80 columns."""
_SYSTEM = "system"
_Row = tuple[str, list[str], bool]
"""A name, its figures, and whether it is a student's."""


def print_report(report: Json, console: Console) -> None:
    """Print the tables, a line for each student and reading, and whether the users are real."""
    console.print(title(report), style="italic", markup=False, highlight=False)
    for heads, rows in _tables(report):
        for line in _lines(heads, rows, console.width):
            console.print(line, soft_wrap=True)
        console.print()
    for pair in report["comparisons"]:
        if pair["against"] == report["best_baseline"] and pair["against_reading"] == "L":
            console.print(_against_the_best(pair), markup=False)
    console.print(source_line(report).replace("**", ""), markup=False)


def _tables(report: Json) -> list[tuple[list[str], list[_Row]]]:
    """Heads and rows of each table that the report has something for."""
    measures = measures_of(report)
    tables = [
        (
            [_SYSTEM, *measures],
            [_row(system, [system[name] for name in measures]) for system in report["systems"]],
        ),
        (
            ["to popularity's", *BESIDE_POPULARITY],
            [
                _row(
                    row,
                    [
                        row["against_popularity"].get(name, {}).get("difference")
                        for name in BESIDE_POPULARITY
                    ],
                )
                for row in report["beside_popularity"]
                if row["name"] != "popularity"
            ],
        ),
        (
            ["recall@50 by", "words", "meaning", "both", "both / words"],
            [
                _row(
                    row,
                    [
                        *(row["by"][kind]["recall@50"] for kind in ("words", "meaning", "both")),
                        row["both_against_words"]["recall@50"]["ratio"],
                    ],
                )
                for row in report["searched_by"]
            ],
        ),
        _parts(report["ablations"]),
    ]
    return [(heads, rows) for heads, rows in tables if rows]


def _row(system: Json, intervals: Sequence[Json | None]) -> _Row:
    name = f"{system['name']} ({system['reading']})"
    return name, [_short(interval) for interval in intervals], system["student"]


def _parts(ablations: Sequence[Json]) -> tuple[list[str], list[_Row]]:
    """What each part brings to each list, in Recall@50."""
    heads = ["recall@50 that S owes to", *(row["name"] for row in ablations)]
    together = zip(*(row["parts"] for row in ablations), strict=True)
    rows: list[_Row] = [
        (
            parts[0]["part"],
            [_short(part["brings"]["recall@50"]["difference"]) for part in parts],
            False,
        )
        for parts in together
    ]
    return heads, rows


def _lines(heads: Sequence[str], rows: Sequence[_Row], width: int) -> list[Text]:
    """A line a row, its figures in columns. Where `width` has no room for that the name has a
    line of its own above them: no name and no figure is cut."""
    first_head, *others = heads
    cells = [others, *(figures for _, figures, _ in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    top, *figures = (_GAP.join(map(str.ljust, row, widths)).rstrip() for row in cells)
    first = max(map(len, (first_head, *(name for name, _, _ in rows))))
    apart = first + sum(len(_GAP) + column for column in widths) > width
    head = f"{first_head:{first}}{_GAP}{top}"
    if apart:
        head = top if first_head == _SYSTEM else f"{first_head}\n{top}"
    lines = [Text(head, "underline")]
    for (name, _, student), row in zip(rows, figures, strict=True):
        style = "bold" if student else ""
        lines.append(Text(f"{name}\n{row}" if apart else f"{name:{first}}{_GAP}{row}", style))
    return lines


def _against_the_best(pair: Json) -> str:
    found = pair["recall@50"]
    return (
        f"{pair['system']} ({pair['reading']}) against {pair['against']}, the best baseline, "
        f"in Recall@50: difference {shown(found['difference'])}, ratio {shown(found['ratio'])}"
    )


def _short(interval: Mapping[str, float | None] | None) -> str:
    """A mean and its bounds in few columns: `0.097 .080–.114`; ∞ where a ratio is."""
    if interval is None:
        return "–"
    mean, low, high = (
        "∞" if interval[name] is None else f"{interval[name]:.3f}"
        for name in ("mean", "low", "high")
    )
    return f"{mean} {_bound(low)}–{_bound(high)}"


def _bound(figure: str) -> str:
    """Without the 0 before the point, and of numbers from 1 up with one digit less."""
    if figure.startswith("-"):
        return f"-{_bound(figure[1:])}"
    return figure.removeprefix("0")[:4]
