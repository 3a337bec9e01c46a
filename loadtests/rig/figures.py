"""What is said of several measured numbers: medians, spreads, ratios, percentiles, slopes. Pure."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_BLOCKS = 20
_T_95 = 2.101
"""Of Student's distribution with `_BLOCKS` - 2 degrees of freedom, both sides together 5 %."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several rounds, and the lowest and highest of them."""

    median: float
    low: float
    high: float

    def said(self, digits: int = 2) -> str:
        """As `median (low to high)`."""
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f} to {self.high:,.{digits}f})"


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth for each second, and the bounds within which it lies with 95 %."""

    per_s: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Of the rounds of one side. Raises `ValueError` where there are none."""
    if not values:
        raise ValueError("no rounds")
    return Spread(statistics.median(values), min(values), max(values))


def ratio(values: Sequence[float], reference: Sequence[float]) -> Spread:
    """One side to another: the ratio of their medians, and of the rounds beside each other.

    `low` and `high` are the lowest and highest ratio of two rounds that were measured next to each
    other. Raises `ValueError` where the sides have not as many rounds, and `ZeroDivisionError` for
    a reference of 0.
    """
    each = [one / other for one, other in zip(values, reference, strict=True)]
    if not each:
        raise ValueError("no rounds")
    return Spread(statistics.median(values) / statistics.median(reference), min(each), max(each))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share (0 to 1) of them does not exceed; NaN where there are none.

    One that was measured, not one between two: the nearest rank.
    """
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


def slope(seconds: Sequence[float], values: Sequence[float]) -> Slope:
    """How fast values grow over time: least squares over the means of 20 blocks.

    Samples that follow each other closely are alike, so that each of them would count as news it is
    not: blocks are averaged before the interval is taken. Raises `ValueError` for fewer samples
    than two a block.
    """
    if len(values) < 2 * _BLOCKS or len(seconds) != len(values):
        raise ValueError(f"a slope needs {2 * _BLOCKS} samples or more, and a time for each")
    size = len(values) / _BLOCKS
    bounds = [round(number * size) for number in range(_BLOCKS + 1)]
    cuts = list(itertools.pairwise(bounds))
    times = [statistics.fmean(seconds[start:end]) for start, end in cuts]
    means = [statistics.fmean(values[start:end]) for start, end in cuts]
    line = statistics.linear_regression(times, means)
    middle = statistics.fmean(times)
    around = sum((time - middle) ** 2 for time in times)
    left = sum(
        (mean - line.intercept - line.slope * time) ** 2
        for time, mean in zip(times, means, strict=True)
    )
    wide = _T_95 * math.sqrt(left / (_BLOCKS - 2) / around)
    return Slope(line.slope, line.slope - wide, line.slope + wide)
