"""Points are those that docs/experiments.md publishes, uniform, and independent between salts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from service.experiments.hashing import POINTS, point, point_of, prefix, user_bytes

PAGE = Path(__file__).parents[4] / "docs" / "experiments.md"
VECTOR = re.compile(r"^\| `([^`]+)` \| `([^`]*)` \| (\d+) \|$", re.MULTILINE)
USERS = 1_000_000


def test_the_published_vectors_are_what_is_computed() -> None:
    vectors = VECTOR.findall(PAGE.read_text(encoding="utf-8"))
    assert len(vectors) >= 12
    for salt, user, expected in vectors:
        assert point(salt, user) == int(expected), (salt, user)


@pytest.fixture(scope="module")
def points() -> npt.NDArray[np.int64]:
    """Points of a million users under two salts that differ in one character."""
    users = [user_bytes(f"user-{number}") for number in range(USERS)]
    salts = [prefix("students:small-1:arm"), prefix("students:small-2:arm")]
    return np.array(
        [np.fromiter((point_of(salt, user) for user in users), np.int64, USERS) for salt in salts]
    )


def chi_square(counts: npt.NDArray[np.int64], expected: npt.NDArray[np.float64]) -> float:
    return float(((counts - expected) ** 2 / expected).sum())


def is_expected(found: float, freedom: int) -> bool:
    """Whether a chi-square value is within five deviations of its mean."""
    return abs(found - freedom) < 5 * (2 * freedom) ** 0.5


def test_a_million_users_are_spread_evenly(points: npt.NDArray[np.int64]) -> None:
    for under in points:
        counts = np.bincount(under, minlength=POINTS)
        assert len(counts) == POINTS
        found = chi_square(counts, np.full(POINTS, USERS / POINTS))
        assert is_expected(found, POINTS - 1)


def test_points_under_two_salts_say_nothing_of_each_other(points: npt.NDArray[np.int64]) -> None:
    first, second = points // 500
    table = np.zeros((20, 20), dtype=np.int64)
    np.add.at(table, (first, second), 1)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / USERS
    assert is_expected(chi_square(table, expected), 19 * 19)
    assert not np.array_equal(*points)
