"""Sides beside each other as a table's cells. Pure."""

from __future__ import annotations

from loadtests.rig.figures import spread
from loadtests.rig.rounds import LEAST_ROUNDS, Measured


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


def cpu_said(measured: Measured, reference: str, cpu: str) -> list[str]:
    """A sentence for each other side: its CPU an answer beside the reference's.

    On a machine that does other things meanwhile this says more than answers a second do.
    """
    others = [side for side in measured.sides if side != reference]
    return [
        f"{side}: {measured.spread(side, cpu).said()} {cpu}, "
        f"{measured.ratio(side, reference, cpu).said()} times that of {reference}."
        for side in others
        if measured.values(side, cpu) and measured.values(reference, cpu)
    ]


def rounds_said(rounds: int, seconds: float) -> str:
    """How much was measured, and whether that is little."""
    said = f"{rounds} rounds of {seconds:g} s a side"
    return said if rounds >= LEAST_ROUNDS else f"{said}, too few to tell small differences"


def _cell(measured: Measured, side: str, name: str) -> str:
    values = measured.values(side, name)
    return f"{spread(values).median:,.2f}" if values else "–"
