"""Sides beside each other as a table's cells. Pure."""

from __future__ import annotations

from loadtests.rig.figures import spread
from loadtests.rig.rounds import Measured


def compared(
    measured: Measured, reference: str | None, of: str
) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: each side's medians, and the ratio of its figure `of` to the reference's.

    The figure `of` is shown with its lowest and highest round.
    """
    others = [name for name in measured.names if name != of]
    heads = ["side", of, *others]
    if reference is not None:
        heads.insert(2, f"to {reference}")
    rows = []
    for side in measured.sides:
        row = [side, measured.spread(side, of).said(1)]
        if reference is not None:
            row.append(measured.ratio(side, reference, of).said())
        row += [_cell(measured, side, name) for name in others]
        rows.append(row)
    return heads, rows


def _cell(measured: Measured, side: str, name: str) -> str:
    values = measured.values(side, name)
    return f"{spread(values).median:,.2f}" if values else "–"
