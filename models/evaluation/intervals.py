"""How sure a figure over many users is: an interval around a mean, a difference or a ratio.

Each takes one number a user and puts an interval around it by the percentile bootstrap (Efron &
Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13). Users are what is resampled: a user's
impressions depend on each other. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.errors import InvalidInput

Floats = NDArray[np.float64]

_CELLS = 2_000_000
"""Resampled values held at one time: 32 MB with their indexes."""


@dataclass(frozen=True, slots=True)
class Interval:
    """What the users at hand give, and bounds for what all such users would give."""

    mean: float
    """The mean, or for `ratio_interval` the ratio of the means."""
    low: float
    high: float


def bootstrap_interval(
    values: ArrayLike, *, seed: int, resamples: int = 2000, level: float = 0.95
) -> Interval:
    """The mean of one value a user, and the percentile bootstrap's interval of that level.

    Widened where needed to hold the mean itself. A single user gives an interval without width:
    that says nothing of others. The same seed gives the same interval. Raises `InvalidInput` for no
    values, values that are not finite, fewer than one resample and a level not between 0 and 1.
    """
    users = _users(values, "values")
    means = _resampled(lambda drawn: users[drawn].mean(axis=1), users.size, seed, resamples)
    return _interval(float(users.mean()), means, level)


def paired_difference(
    a: ArrayLike, b: ArrayLike, *, seed: int, resamples: int = 2000, level: float = 0.95
) -> Interval:
    """`bootstrap_interval` of `a[i] - b[i]`, both being of the same user `i`.

    An interval above 0 says that `a` is the better one, whatever users have in common taken out.
    Raises `InvalidInput` as `bootstrap_interval` does, and where `a` and `b` differ in length.
    """
    first, second = _pair(a, b)
    return bootstrap_interval(first - second, seed=seed, resamples=resamples, level=level)


def ratio_interval(
    a: ArrayLike, b: ArrayLike, *, seed: int, resamples: int = 2000, level: float = 0.95
) -> Interval:
    """The mean of `a` over the mean of `b`, both of the same users, who are resampled together.

    A resample in which every `b` is 0 counts as an infinite ratio: with few users above 0 the upper
    bound may be infinite. Raises `InvalidInput` as `paired_difference` does, for values below 0,
    and where the mean of `b` is 0.
    """
    first, second = _pair(a, b)
    if first.min() < 0 or second.min() < 0:
        raise InvalidInput("must be from 0 up for a ratio", field="a" if first.min() < 0 else "b")
    if not second.any():
        raise InvalidInput("is 0 for every user: nothing can be set against it", field="b")

    def ratios(drawn: NDArray[np.int64]) -> Floats:
        over, under = first[drawn].mean(axis=1), second[drawn].mean(axis=1)
        answer: Floats = np.full_like(over, np.inf)
        np.divide(over, under, out=answer, where=under > 0)
        return answer

    resampled = _resampled(ratios, first.size, seed, resamples)
    return _interval(float(first.mean() / second.mean()), resampled, level)


def _users(values: ArrayLike, field: str) -> Floats:
    users = np.asarray(values, dtype=np.float64)
    if users.ndim != 1 or not users.size:
        raise InvalidInput("must be a row of numbers, one a user, and not empty", field=field)
    if not np.isfinite(users).all():
        raise InvalidInput("must be finite numbers", field=field)
    return users


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[Floats, Floats]:
    first, second = _users(a, "a"), _users(b, "b")
    if first.size != second.size:
        raise InvalidInput(f"has {second.size} users where a has {first.size}", field="b")
    return first, second


def _resampled(
    statistic: Callable[[NDArray[np.int64]], Floats], users: int, seed: int, resamples: int
) -> Floats:
    """`statistic` of each resample; it gets a block of them, one a row, as indexes of users."""
    if resamples < 1:
        raise InvalidInput("must be 1 or more", field="resamples")
    random = np.random.default_rng(seed)
    rows = max(1, _CELLS // users)
    blocks = [
        statistic(random.integers(users, size=(min(rows, resamples - start), users)))
        for start in range(0, resamples, rows)
    ]
    return np.concatenate(blocks)


def _interval(mean: float, resampled: Floats, level: float) -> Interval:
    if not 0 < level < 1:
        raise InvalidInput("must be between 0 and 1", field="level")
    ordered = np.sort(resampled)
    # Values that occurred, never between two: an infinite ratio has no middle with a finite one.
    tail = int((1 - level) / 2 * ordered.size)
    low, high = float(ordered[tail]), float(ordered[-1 - tail])
    return Interval(mean, min(low, mean), max(high, mean))
