"""A report as a terminal shows it: a table, and each student against the best baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from models.evaluation.report.markdown import measures_of, shown, source_line, title

Json = Mapping[str, Any]


def print_report(report: Json, console: Console) -> None:
    """Print the table, a line for each student and reading, and whether the users are real."""
    console.print(_systems(report))
    for pair in report["comparisons"]:
        if pair["against"] == report["best_baseline"] and pair["against_reading"] == "L":
            console.print(_against_the_best(pair), markup=False)
    console.print(source_line(report).replace("**", ""), markup=False)


def _systems(report: Json) -> Table:
    measures = measures_of(report)
    table = Table("system", *measures, title=title(report), box=SIMPLE_HEAD)
    for system in report["systems"]:
        cells = [_short(system[name]) for name in measures]
        style = "bold" if system["student"] else ""
        table.add_row(f"{system['name']} ({system['reading']})", *cells, style=style)
    return table


def _against_the_best(pair: Json) -> str:
    found = pair["recall@50"]
    return (
        f"{pair['system']} ({pair['reading']}) against {pair['against']}, the best baseline, "
        f"in Recall@50: difference {shown(found['difference'])}, ratio {shown(found['ratio'])}"
    )


def _short(interval: Mapping[str, float] | None) -> str:
    """A mean and its bounds in few columns: `0.097 .080–.114`."""
    if interval is None:
        return "–"
    low, high = (f"{interval[name]:.3f}".removeprefix("0") for name in ("low", "high"))
    return f"{interval['mean']:.3f} {low}–{high}"
