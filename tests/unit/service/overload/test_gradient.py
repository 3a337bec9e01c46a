"""The limit of requests in work: it follows what they wait for this process, and that alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.overload.gradient import GradientLimit, Usual

TARGET_S = 0.02
RULE = GradientLimit(TARGET_S, most=256, least=4)
costs = st.floats(0, 1)
limits = st.floats(RULE.least, RULE.most)
waits = st.floats(0, 10)
counts = st.integers(0, 400)


def after(limit: float, looks: int, wait_s: float, in_use: int | None = None) -> float:
    """The limit after so many looks alike; `in_use` None: all places are taken."""
    for _ in range(looks):
        limit = RULE.next(limit, wait_s, int(limit) if in_use is None else in_use)
    return limit


@given(limits, waits, counts)
def test_it_stays_within_its_bounds(limit: float, wait_s: float, in_use: int) -> None:
    assert RULE.least <= RULE.next(limit, wait_s, in_use) <= RULE.most


@given(st.floats(1, 10), waits, counts)
def test_a_small_capacity_bounds_it_too(most: float, wait_s: float, in_use: int) -> None:
    rule = GradientLimit(TARGET_S, most=most, least=4)
    assert rule.next(rule.at_rest(), wait_s, in_use) <= most
    assert rule.at_rest() <= most


@given(limits, waits, counts, costs, st.floats(0, 30))
def test_what_requests_are_like_never_takes_it_out_of_its_bounds(
    limit: float, wait_s: float, in_use: int, computed_s: float, deadline_s: float
) -> None:
    assert (
        RULE.least <= RULE.next(limit, wait_s, in_use, Usual(computed_s, deadline_s)) <= RULE.most
    )
    assert RULE.at_rest() <= RULE.at_rest(Usual(computed_s, deadline_s)) <= RULE.most


def test_as_many_as_compute_within_the_target_may_come_together() -> None:
    assert RULE.at_rest(Usual(computed_s=0.0002)) == 100
    limit = RULE.at_rest()
    for _ in range(10):
        limit = RULE.next(limit, wait_s=0.0, in_use=1, usual=Usual(computed_s=0.0002))
    assert limit >= 100


def test_who_has_more_time_may_wait_longer() -> None:
    patient = Usual(deadline_s=15)
    assert RULE.target(patient) == 1.5
    assert RULE.target(Usual(deadline_s=0.1)) == TARGET_S
    assert RULE.next(64, 0.5, 64, patient) > 64
    assert RULE.next(64, 0.5, 64, Usual(deadline_s=1)) < 64


@given(limits, waits, waits, counts)
def test_longer_waits_never_give_a_higher_limit(
    limit: float, one: float, other: float, in_use: int
) -> None:
    shorter, longer = sorted((one, other))
    assume(in_use <= limit)
    assert RULE.next(limit, longer, in_use) <= RULE.next(limit, shorter, in_use) + 1e-9


@given(limits, st.floats(0, TARGET_S), counts)
def test_it_shrinks_only_where_requests_wait_or_places_are_left_over(
    limit: float, wait_s: float, in_use: int
) -> None:
    assume(4 * in_use >= limit or limit <= RULE.at_rest())
    assert RULE.next(limit, wait_s, in_use) >= limit


@given(limits, st.floats(2 * TARGET_S, 10))
def test_a_gateway_that_computes_without_end_comes_down_within_a_second(
    limit: float, wait_s: float
) -> None:
    assert after(limit, 10, wait_s) <= 8


def test_a_slow_engine_leaves_the_limit_alone() -> None:
    """All places are taken for seconds by requests that wait for nothing of ours."""
    assert after(100, 50, wait_s=0.0005) == RULE.most


@pytest.mark.parametrize("in_use", [0, None])
def test_from_the_least_it_is_soon_back_where_it_began(in_use: int | None) -> None:
    """Used or not: after an overload as many may come at once as before."""
    assert after(RULE.least, 15, wait_s=0.0, in_use=in_use) >= RULE.at_rest()


def test_places_that_nobody_uses_are_given_up_slowly_down_to_where_it_began() -> None:
    assert 100 < after(200, 30, wait_s=0.0, in_use=10) < 120
    assert after(200, 400, wait_s=0.0, in_use=0) == RULE.at_rest()


def test_in_balance_requests_wait_a_little_longer_than_the_target() -> None:
    """A process that computes 5 ms a request, always asked for more than it can do."""
    limit = RULE.at_rest()
    for _ in range(200):
        limit = RULE.next(limit, wait_s=0.005 * (limit - 1), in_use=int(limit))
    wait_s = 0.005 * (limit - 1)
    assert TARGET_S < wait_s < 2 * TARGET_S
    assert math.isclose(limit, RULE.next(limit, wait_s, int(limit)), rel_tol=0.25)
