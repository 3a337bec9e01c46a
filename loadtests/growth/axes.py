"""What was measured along one axis, and how it is shown. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtests.rig.exponents import Line, Points, Power, line, power
from loadtests.rig.figures import spread
from loadtests.rig.plots import of_growth
from loadtests.rig.results import Result
from loadtests.rig.rounds import Measured
from loadtests.rig.sides import CORE, NOT_OK


@dataclass(frozen=True, slots=True)
class Grown:
    """The figures of one axis, by their names with units."""

    axis: str
    size: str
    """What a size counts, as the head of its column."""
    constant: str
    """A sentence: what was the same at every size."""
    figures: Mapping[str, Points]
    """The main one first."""

    def power(self, name: str) -> Power | None:
        """How a figure grows; None for what need not, or was not above 0 at every size."""
        points = self.figures[name]
        if name in (CORE, NOT_OK) or len(points) < 2:
            return None
        if any(value <= 0 for values in points.values() for value in values):
            return None
        return power(points)

    def line(self, name: str) -> Line:
        """A figure as a straight line over the size. Raises `ValueError` for a single size."""
        return line(self.figures[name])

    def rows(self) -> list[list[str]]:
        """A row for each size with the medians, then one with the exponents."""
        sizes = list(next(iter(self.figures.values())))
        rows = [
            [f"{size:,.0f}", *(_cell(points.get(size, ())) for points in self.figures.values())]
            for size in sizes
        ]
        fitted = [self.power(name) for name in self.figures]
        return [*rows, ["exponent", *(one.said() if one else "–" for one in fitted)]]

    def data(self) -> dict[str, object]:
        """All of it, for programs."""
        return {
            "axis": self.axis,
            "size": self.size,
            "figures": {
                name: {f"{size:g}": list(values) for size, values in points.items()}
                for name, points in self.figures.items()
            },
            "exponents": {
                name: {"exponent": one.exponent, "low": one.low, "high": one.high}
                for name in self.figures
                if (one := self.power(name)) is not None
            },
        }

    def result(self, rounds: int) -> Result:
        """The page, numbers and plot of this axis."""
        drawn = {
            name: (points, fitted)
            for name, points in self.figures.items()
            if (fitted := self.power(name)) is not None
        }
        return Result(
            name=f"growth-{self.axis}",
            title=f"Growth with {self.size}",
            heads=[self.size, *self.figures],
            rows=self.rows(),
            data=self.data(),
            said=[
                self.constant,
                f"Medians of {rounds} rounds. An exponent of 1 grows as the size does, one of 0 "
                "not at all; its bounds are those of the rounds, drawn anew.",
            ],
            draw=of_growth(drawn, self.size),
        )


def points_of(
    measured: Measured, sizes: Mapping[str, float], names: Sequence[str]
) -> dict[str, Points]:
    """Figures by size, of sides that are called as the keys of `sizes`."""
    return {
        name: {size: measured.values(side, name) for side, size in sizes.items()} for name in names
    }


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "–"
    middle = spread(values).median
    return f"{middle:,.0f}" if middle >= 1000 else f"{middle:,.3g}"
