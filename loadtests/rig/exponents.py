"""How a figure grows with a size: the exponent of a power law, and a straight line. Pure."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtests.rig.figures import percentile

Points = Mapping[float, Sequence[float]]
"""The values of the rounds, by size."""
_DRAWS = 1_000


@dataclass(frozen=True, slots=True)
class Power:
    """`factor` × size ^ `exponent`, and the bounds of the exponent with 95 %."""

    factor: float
    exponent: float
    low: float
    high: float

    def at(self, size: float) -> float:
        """The figure for a size above 0."""
        return self.factor * math.pow(size, self.exponent)

    def said(self) -> str:
        """The exponent with its bounds, for a table; no zero has a sign."""
        exponent, low, high = (round(one, 2) + 0.0 for one in (self.exponent, self.low, self.high))
        return f"{exponent:.2f} ({low:.2f} to {high:.2f})"


@dataclass(frozen=True, slots=True)
class Line:
    """`base` + size × `per_unit`."""

    base: float
    per_unit: float

    def at(self, size: float) -> float:
        """The figure for a size."""
        return self.base + self.per_unit * size


def power(points: Points, *, seed: int = 1) -> Power:
    """Least squares through the medians, both on a scale of powers; 95 % by the bootstrap.

    For each draw, every size's rounds are drawn anew with replacement. So the bounds hold how much
    rounds differ, and not whether the growth is a power at all: the plot shows that. Raises
    `ValueError` for fewer than two sizes, and for sizes or values that are not above 0.
    """
    if len(points) < 2:
        raise ValueError("an exponent needs two sizes or more")
    if min(points) <= 0 or any(value <= 0 for values in points.values() for value in values):
        raise ValueError("an exponent needs sizes and values above 0")
    factor, exponent = _fitted(points)
    rng = random.Random(seed)
    drawn = sorted(
        _fitted({size: rng.choices(values, k=len(values)) for size, values in points.items()})[1]
        for _ in range(_DRAWS)
    )
    return Power(factor, exponent, percentile(drawn, 0.025), percentile(drawn, 0.975))


def line(points: Points) -> Line:
    """Least squares through the medians. Raises `ValueError` for fewer than two sizes."""
    if len(points) < 2:
        raise ValueError("a line needs two sizes or more")
    found = statistics.linear_regression(list(points), _medians(points))
    return Line(found.intercept, found.slope)


def _fitted(points: Points) -> tuple[float, float]:
    """Factor and exponent."""
    logs = [math.log(value) for value in _medians(points)]
    found = statistics.linear_regression([math.log(size) for size in points], logs)
    return math.exp(found.intercept), found.slope


def _medians(points: Points) -> list[float]:
    return [statistics.median(values) for values in points.values()]
