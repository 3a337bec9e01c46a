"""The tests of a verdict: what they say, held against other libraries and themselves."""

from __future__ import annotations

from math import exp, isclose, log, log1p, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tea_tasting.aggr import Aggregates

from models.verdict.measured import PRIMARY, Metric
from models.verdict.statistics import (
    LEVEL,
    SAMPLE_RATIO_LEVEL,
    Effect,
    always_valid_factor,
    always_valid_p,
    corrected,
    effect,
    sample_ratio,
    summary,
    users_for,
)
from service.errors import InvalidInput

SHARE = Metric("share", "Share", "clicks", "impressions", "higher", relative=False)
ERRORS = st.floats(1e-4, 1.0)
COLUMNS = ("clicks", "impressions", "clicks_before", "impressions_before")


def of_sums(
    users: int, clicks: int, clicks_2: int, shown: int, shown_2: int, both: int
) -> Aggregates:
    """An arm from its sums, its sums of squares and of products, as GrowthBook takes them."""

    def covariance(products: int, one: int, other: int) -> float:
        return (products - one * other / users) / (users - 1)

    return Aggregates(
        users,
        {"clicks": clicks / users, "impressions": shown / users},
        {
            "clicks": covariance(clicks_2, clicks, clicks),
            "impressions": covariance(shown_2, shown, shown),
        },
        {("clicks", "impressions"): covariance(both, clicks, shown)},
    )


def arm(users: int, lift: float = 0.0, seed: int = 1) -> Aggregates:
    """An arm of users with click-throughs of their own, who were seen before."""
    random = np.random.default_rng(seed)
    rate = random.beta(2, 18, size=users)
    shown, before = random.poisson(20, size=users), random.poisson(40, size=users)
    clicks = random.binomial(shown, np.minimum(rate * (1 + lift), 1))
    values = (clicks, shown, random.binomial(before, rate), before)
    return summary(COLUMNS, np.column_stack(values).astype(float))


def found(metric: Metric, control: Aggregates, other: Aggregates, adjusted: bool = False) -> Effect:
    one = effect(metric, control, other, adjusted=adjusted)
    assert one is not None
    return one


def test_intervals_and_p_values_are_those_of_growthbook() -> None:
    """`SequentialTwoSidedTTest` of gbstats 0.8.0, whose tuning parameter of 5000 users is put into
    the terms of ours, gave these for a ratio metric of the same sums."""
    control = of_sums(4000, 12_000, 72_000, 120_000, 4_600_000, 520_000)
    other = of_sums(4200, 13_400, 82_000, 126_500, 4_850_000, 560_000)
    one = found(SHARE, control, other)
    assert isclose(one.change, 0.005928853754940705)
    assert isclose(one.standard_error, 0.001443570553561953)
    rho = sqrt((-2 * log(0.05) + log(-2 * log(0.05) + 1)) / 5000)
    expected = rho * sqrt(8200) * one.standard_error
    half = always_valid_factor(one.standard_error, expected, 0.05) * one.standard_error
    assert isclose(one.change - half, 0.0015277852644593644)
    assert isclose(one.change + half, 0.010329922245422046)
    p_value = always_valid_p(one.change, one.standard_error, expected)
    assert isclose(p_value, 0.0014852269704969273)


@given(ERRORS, st.floats(0.001, 0.5), st.floats(1e-6, 0.5))
def test_an_interval_of_a_level_just_touches_nothing_where_the_p_value_is_that_level(
    error: float, expected: float, level: float
) -> None:
    half = always_valid_factor(error, expected, level) * error
    assert isclose(always_valid_p(half, error, expected), level, rel_tol=1e-6)


@given(ERRORS, st.floats(0.001, 0.5))
def test_looking_every_day_costs_width(error: float, expected: float) -> None:
    assert always_valid_factor(error, expected, 0.05) > 2.447, "the root of -2 log 0.05"


@given(st.floats(-1, 1), ERRORS)
def test_a_p_value_is_a_probability(change: float, error: float) -> None:
    assert 0 <= always_valid_p(change, error, 0.05) <= 1


def test_a_lift_is_within_its_interval() -> None:
    one = found(PRIMARY, arm(20_000), arm(20_000, lift=0.2, seed=2))
    assert one.low < 0.2 < one.high
    assert one.low > 0
    assert one.p_value < 0.001
    assert isclose(one.change, one.other / one.control - 1)


def test_what_users_did_before_narrows_the_interval() -> None:
    control, other = arm(20_000), arm(20_000, lift=0.05, seed=2)
    plain, adjusted = (found(PRIMARY, control, other, adjusted=one) for one in (False, True))
    assert adjusted.standard_error < 0.9 * plain.standard_error


def test_arms_change_places() -> None:
    one, other = arm(5000), arm(5000, lift=0.1, seed=2)
    there, back = found(PRIMARY, one, other), found(PRIMARY, other, one)
    assert isclose(log1p(there.change), -log1p(back.change))
    assert isclose(log1p(there.low), -log1p(back.high))
    assert isclose(there.p_value, back.p_value)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_that_never_varied_is_known_as_well_as_its_users_allow(share: float) -> None:
    shown = np.arange(1.0, 501.0)
    same = summary(("clicks", "impressions"), np.column_stack([share * shown, shown]))
    one = found(SHARE, same, same)
    assert one.change == 0
    assert -0.05 < one.low < 0 < one.high < 0.05


def test_nothing_is_said_where_there_is_nothing() -> None:
    shown = np.arange(1.0, 501.0)
    none = summary(COLUMNS, np.column_stack([0 * shown, shown, 0 * shown, shown]))
    unseen = summary(COLUMNS, np.column_stack([0 * shown] * 4))
    for metric in (PRIMARY, SHARE):
        assert effect(metric, unseen, unseen) is None
        assert effect(metric, arm(500), unseen) is None
    assert effect(PRIMARY, none, none) is None
    assert effect(PRIMARY, arm(500), none) is None


def test_sample_ratios_are_those_of_another_library() -> None:
    """`Multinomial` of savvi 0.3.1, by the same paper, gave these for the same prior."""
    for counts, shares, p_value in (
        ([5200, 4800], (0.5, 0.5), 0.0022977666452673796),
        ([480, 520], (0.5, 0.5), 0.9478792223821141),
        ([300, 420, 280], (0.25, 0.5, 0.25), 0.0028415610414315594),
        ([2600, 2400, 5000], (0.25, 0.25, 0.5), 0.2896013238472928),
    ):
        (ours,) = sample_ratio(np.array([counts]), shares)
        assert isclose(ours, p_value, rel_tol=1e-6)


@given(
    st.lists(st.tuples(*[st.integers(0, 1000)] * 3), min_size=1, max_size=20),
    st.lists(st.floats(0.1, 1), min_size=3, max_size=3),
)
def test_the_p_value_of_a_sample_ratio_never_rises(
    days: list[tuple[int, ...]], shares: list[float]
) -> None:
    p_values = sample_ratio(np.cumsum(days, axis=0), shares)
    assert all(0 <= p <= 1 for p in p_values)
    assert p_values == sorted(p_values, reverse=True)


def test_an_arm_that_nobody_gets_is_a_broken_ratio() -> None:
    (p_value,) = sample_ratio(np.array([[500, 0]]), (0.5, 0.5))
    assert p_value < SAMPLE_RATIO_LEVEL


def test_many_comparisons_are_corrected_together() -> None:
    assert corrected({}) == {}
    assert corrected({"a": 0.04}) == {"a": 0.04}
    assert corrected({"a": 0.01, "b": 0.5}) == {"a": 0.02, "b": 0.5}


def test_the_planned_users_bring_the_interval_to_the_lift() -> None:
    variance, power_beyond = 0.4, 0.8416
    users = users_for(0.03, variance, (0.5, 0.5))
    error = sqrt(4 * variance / users)
    needed = always_valid_factor(error, PRIMARY.expected, LEVEL) + power_beyond
    assert isclose(log1p(0.03) / error, needed, rel_tol=1e-3)
    assert users > users_for(0.06, variance, (0.5, 0.5))
    assert users_for(exp(-log1p(0.03)) - 1, variance, (0.5, 0.5)) == pytest.approx(users, abs=1)


@pytest.mark.parametrize("lift", [0.0, -1.0])
def test_no_number_of_users_shows_such_a_lift(lift: float) -> None:
    with pytest.raises(InvalidInput, match="more than -1, and not 0"):
        users_for(lift, 0.4, (0.5, 0.5))
