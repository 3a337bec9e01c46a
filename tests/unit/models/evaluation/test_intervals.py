"""Intervals over users: what they hold, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation import intervals
from models.evaluation.intervals import (
    Interval,
    bootstrap_interval,
    paired_difference,
    ratio_interval,
)
from service.errors import InvalidInput

VALUES = st.floats(0, 1, allow_subnormal=False)
USERS = st.lists(VALUES, min_size=1, max_size=30)
PAIRS = st.lists(st.tuples(VALUES, st.floats(0.01, 1)), min_size=1, max_size=30)
SEEDS = st.integers(0, 2**32)


@given(USERS, SEEDS, st.floats(0.01, 0.99), st.integers(1, 50))
def test_an_interval_holds_the_mean_and_stays_within_the_values(
    values: list[float], seed: int, level: float, resamples: int
) -> None:
    found = bootstrap_interval(values, seed=seed, level=level, resamples=resamples)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.low <= found.mean <= found.high
    assert min(values) - 1e-12 <= found.low
    assert found.high <= max(values) + 1e-12


@given(USERS, SEEDS)
def test_the_same_seed_gives_the_same_interval(values: list[float], seed: int) -> None:
    found = bootstrap_interval(values, seed=seed, resamples=50)
    assert bootstrap_interval(values, seed=seed, resamples=50) == found


@given(USERS, SEEDS)
def test_a_higher_level_never_gives_a_narrower_interval(values: list[float], seed: int) -> None:
    wide = bootstrap_interval(values, seed=seed, resamples=100, level=0.95)
    narrow = bootstrap_interval(values, seed=seed, resamples=100, level=0.5)
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high


@given(VALUES, st.integers(1, 20))
def test_users_who_are_all_alike_leave_no_width(value: float, users: int) -> None:
    found = bootstrap_interval([value] * users, seed=1, resamples=20)
    assert found.low == pytest.approx(value)
    assert found.high == pytest.approx(value)


def test_the_interval_of_a_mean_is_as_wide_as_its_standard_error_says() -> None:
    values = np.random.default_rng(5).normal(0.3, 0.1, 400)
    found = bootstrap_interval(values, seed=1)
    expected = 2 * 1.96 * values.std() / 20
    assert found.high - found.low == pytest.approx(expected, rel=0.1)


def test_about_nineteen_of_twenty_intervals_hold_the_true_mean() -> None:
    random = np.random.default_rng(3)
    holding = 0
    for seed in range(300):
        found = bootstrap_interval(random.exponential(1, 60), seed=seed, resamples=400)
        holding += found.low <= 1 <= found.high
    assert 0.88 <= holding / 300 <= 0.98


def test_more_users_than_fit_at_once_are_drawn_block_by_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = np.linspace(0, 1, 50)
    whole = bootstrap_interval(values, seed=2, resamples=101)
    for cells in (1, 50, 120):
        monkeypatch.setattr(intervals, "_CELLS", cells)
        assert bootstrap_interval(values, seed=2, resamples=101) == whole


# --- two systems -----------------------------------------------------------------------------


@given(PAIRS, SEEDS)
def test_a_difference_is_turned_round_with_its_systems(
    pairs: list[tuple[float, float]], seed: int
) -> None:
    a, b = zip(*pairs, strict=True)
    found = paired_difference(a, b, seed=seed, resamples=50)
    other = paired_difference(b, a, seed=seed, resamples=50)
    assert (found.mean, found.low, found.high) == pytest.approx(
        (-other.mean, -other.high, -other.low)
    )


@given(USERS, st.floats(-0.5, 0.5))
def test_a_gain_that_every_user_shares_is_certain(values: list[float], gain: float) -> None:
    better = [value + gain for value in values]
    found = paired_difference(better, values, seed=1, resamples=20)
    assert (found.low, found.high) == pytest.approx((gain, gain), abs=1e-9)


def test_pairing_sees_a_small_gain_that_the_spread_between_users_hides() -> None:
    random = np.random.default_rng(1)
    users = random.uniform(0, 1, 200)
    better = users + random.normal(0.02, 0.02, 200)
    assert paired_difference(better, users, seed=1).low > 0
    assert bootstrap_interval(better, seed=1).low < bootstrap_interval(users, seed=1).high


@given(USERS.filter(any), st.floats(0.1, 4), SEEDS)
def test_a_ratio_that_every_user_shares_is_certain(
    values: list[float], factor: float, seed: int
) -> None:
    values = [*values, *[0.5] * 60]  # so that no resample is without a value above 0
    scaled = [value * factor for value in values]
    found = ratio_interval(scaled, values, seed=seed, resamples=20)
    assert (found.mean, found.low, found.high) == pytest.approx((factor,) * 3)


@given(PAIRS, SEEDS)
def test_a_ratio_is_that_of_the_means_and_within_its_interval(
    pairs: list[tuple[float, float]], seed: int
) -> None:
    a, b = zip(*pairs, strict=True)
    found = ratio_interval(a, b, seed=seed, resamples=50)
    assert found.mean == pytest.approx(np.mean(a) / np.mean(b))
    assert 0 <= found.low <= found.mean <= found.high < inf


def test_with_too_few_users_above_0_a_ratio_has_no_upper_bound() -> None:
    assert ratio_interval([1, 1, 1], [1, 0, 0], seed=1).high == inf
    assert ratio_interval([0, 0], [1, 1], seed=1) == Interval(0, 0, 0)


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refused", "field"),
    [
        (lambda: bootstrap_interval([], seed=1), "values"),
        (lambda: bootstrap_interval([[1.0]], seed=1), "values"),
        (lambda: bootstrap_interval([1.0, nan], seed=1), "values"),
        (lambda: bootstrap_interval([1.0, inf], seed=1), "values"),
        (lambda: bootstrap_interval([1.0], seed=1, resamples=0), "resamples"),
        (lambda: bootstrap_interval([1.0], seed=1, level=1.0), "level"),
        (lambda: bootstrap_interval([1.0], seed=1, level=0.0), "level"),
        (lambda: paired_difference([1.0], [1.0, 2.0], seed=1), "b"),
        (lambda: paired_difference([], [], seed=1), "a"),
        (lambda: ratio_interval([1.0], [0.0], seed=1), "b"),
        (lambda: ratio_interval([1.0, 1.0], [2.0, -1.0], seed=1), "b"),
        (lambda: ratio_interval([-1.0], [1.0], seed=1), "a"),
        (lambda: ratio_interval([1.0], [], seed=1), "b"),
    ],
)
def test_what_has_no_interval_is_refused_by_the_name_of_its_field(
    refused: Callable[[], Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as error:
        refused()
    assert error.value.field == field
