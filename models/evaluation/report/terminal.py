"""A report as a terminal shows it: a table, and each student against the best baseline."""

from __future__ import annotations

from collections.abc import Mapping
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


def print_report(report: Json, console: Console) -> None:
    """Print the table, a line for each student and reading, and whether the users are real."""
    console.print(title(report), style="italic", markup=False, highlight=False)
    for line in _systems(report, console.width):
        console.print(line, soft_wrap=True)
    for pair in report["comparisons"]:
        if pair["against"] == report["best_baseline"] and pair["against_reading"] == "L":
            console.print(_against_the_best(pair), markup=False)
    for row in report["beside_popularity"]:
        console.print(_beside_popularity(row), markup=False)
    for row in report["searched_by"]:
        console.print(_both_searches(row), markup=False)
    for row in report["ablations"]:
        console.print(_parts(row), markup=False)
    console.print(source_line(report).replace("**", ""), markup=False)


def _systems(report: Json, width: int) -> list[Text]:
    """A line a system, its figures in columns. Where `width` has no room for that the name has a
    line of its own above them: no name and no figure is cut."""
    systems, measures = report["systems"], measures_of(report)
    names = [f"{system['name']} ({system['reading']})" for system in systems]
    cells = [measures, *([_short(system[name]) for name in measures] for system in systems)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    heads, *rows = (_GAP.join(map(str.ljust, row, widths)).rstrip() for row in cells)
    first = max(map(len, ("system", *names)))
    apart = first + sum(len(_GAP) + column for column in widths) > width
    lines = [Text(heads if apart else f"{'system':{first}}{_GAP}{heads}", "underline")]
    for system, name, row in zip(systems, names, rows, strict=True):
        style = "bold" if system["student"] else ""
        lines.append(Text(f"{name}\n{row}" if apart else f"{name:{first}}{_GAP}{row}", style))
    return lines


def _against_the_best(pair: Json) -> str:
    found = pair["recall@50"]
    return (
        f"{pair['system']} ({pair['reading']}) against {pair['against']}, the best baseline, "
        f"in Recall@50: difference {shown(found['difference'])}, ratio {shown(found['ratio'])}"
    )


def _beside_popularity(row: Json) -> str:
    against = row["against_popularity"]
    told = [
        f"{name} {_short(row[name])}, {shown(against[name]['difference'])} to popularity's"
        for name in BESIDE_POPULARITY
        if name in against
    ]
    return f"{row['name']} ({row['reading']}): {'; '.join(told)}"


def _both_searches(row: Json) -> str:
    found = {kind: _short(measured["recall@50"]) for kind, measured in row["by"].items()}
    against = row["both_against_words"]["recall@50"]
    return (
        f"{row['name']} ({row['reading']}), Recall@50: by words {found['words']}, by meaning "
        f"{found['meaning']}, by both {found['both']}; both / words {shown(against['ratio'])}"
    )


def _parts(row: Json) -> str:
    brought = [
        f"{part['part']} {shown(part['brings']['recall@50']['difference'])}"
        for part in row["parts"]
    ]
    return f"{row['name']} (S), what each part brings in Recall@50: {'; '.join(brought)}"


def _short(interval: Mapping[str, float] | None) -> str:
    """A mean and its bounds in few columns: `0.097 .080–.114`."""
    if interval is None:
        return "–"
    low, high = (f"{interval[name]:.3f}".removeprefix("0")[:4] for name in ("low", "high"))
    return f"{interval['mean']:.3f} {low}–{high}"
