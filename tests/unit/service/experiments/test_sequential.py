"""Tests that may be looked at all the time: how often they err, and how soon they find."""

from __future__ import annotations

from math import log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.experiments.sequential import bounds, ratio_evidence, worse_by

ALPHA = 0.05
LIMIT = log(1 / ALPHA)


def most(alpha: float, runs: int) -> float:
    """The share of runs that err where the rate is alpha, and four deviations for chance."""
    return alpha + 4 * (alpha * (1 - alpha) / runs) ** 0.5


def rejects_ratio(chance: Random, real: float, users: int) -> bool:
    """Whether a look after each ten users ever rejects that half of them are in an arm."""
    first = 0
    for seen in range(1, users + 1):
        first += chance.random() < real
        if seen % 10 == 0 and ratio_evidence((first, seen - first), (0.5, 0.5)) > LIMIT:
            return True
    return False


def naively_rejects_ratio(chance: Random, users: int) -> bool:
    """The same looks with the usual test, which is made for one look."""
    first = 0
    for seen in range(1, users + 1):
        first += chance.random() < 0.5
        if seen % 10 == 0 and (first - seen / 2) ** 2 / (seen / 4) > 3.841:
            return True
    return False


def test_looking_all_the_time_finds_a_ratio_broken_that_is_not_in_5_per_cent_at_the_most() -> None:
    chance, runs = Random(1), 600
    errors = sum(rejects_ratio(chance, 0.5, 2_000) for _ in range(runs))
    assert errors / runs <= most(ALPHA, runs)
    naive = sum(naively_rejects_ratio(chance, 2_000) for _ in range(runs))
    assert naive / runs > 2 * most(ALPHA, runs)


def test_a_ratio_that_is_broken_is_found() -> None:
    chance = Random(2)
    assert all(rejects_ratio(chance, 0.45, 5_000) for _ in range(30))


def test_the_evidence_is_that_of_the_paper() -> None:
    """For two arms it is a ratio of beta functions, here reckoned by the product of its steps."""
    counts, shares, prior = (3, 1), (0.5, 0.5), 500.0
    steps = [prior / 1000, (prior + 1) / 1001, (prior + 2) / 1002, prior / 1003]
    expected = sum(log(step / 0.5) for step in steps)
    assert ratio_evidence(counts, shares) == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.integers(0, 100_000), min_size=2, max_size=5))
def test_counts_as_the_shares_say_are_no_evidence(counts: list[int]) -> None:
    whole = sum(counts) or 1
    shares = [max(count, 1) / whole for count in counts]
    total = sum(shares)
    assert ratio_evidence(counts, [share / total for share in shares]) < LIMIT


@given(st.integers(1, 5_000), st.data())
def test_bounds_hold_what_was_seen_and_close_in_on_it(of: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, of))
    low, high = bounds(hits, of, 0.001)
    assert 0 <= low <= hits / of <= high <= 1
    nearer_low, nearer_high = bounds(10 * hits, 10 * of, 0.001)
    assert nearer_high - nearer_low <= high - low


def test_bounds_miss_the_proportion_at_any_look_in_5_per_cent_at_the_most() -> None:
    chance, runs = Random(3), 300
    for real in (0.02, 0.3):
        errors = sum(_ever_misses(chance, real) for _ in range(runs))
        assert errors / runs <= most(ALPHA, runs)


def _ever_misses(chance: Random, real: float) -> bool:
    hits = 0
    for seen in range(1, 1_001):
        hits += chance.random() < real
        if seen % 20 == 0:
            low, high = bounds(hits, seen, ALPHA)
            if not low <= real <= high:
                return True
    return False


def _ever_worse(chance: Random, control: float, other: float, more: float, users: int) -> bool:
    hits = [0, 0]
    for seen in range(1, users + 1):
        hits[0] += chance.random() < control
        hits[1] += chance.random() < other
        if seen % 25 == 0 and worse_by((hits[0], seen), (hits[1], seen), ALPHA / 2) > more:
            return True
    return False


def test_an_arm_that_is_worse_by_just_what_is_allowed_is_rarely_refused() -> None:
    chance, runs = Random(4), 200
    errors = sum(_ever_worse(chance, 0.05, 0.10, 0.05, 1_000) for _ in range(runs))
    assert errors / runs <= most(ALPHA, runs)


def test_an_arm_that_is_far_worse_than_allowed_is_found() -> None:
    chance = Random(5)
    assert all(_ever_worse(chance, 0.05, 0.25, 0.05, 1_000) for _ in range(30))


def test_where_nothing_was_seen_nothing_is_worse() -> None:
    assert worse_by((0, 0), (0, 0), ALPHA) == -1
    assert worse_by((0, 0), (50, 50), ALPHA) < 0
