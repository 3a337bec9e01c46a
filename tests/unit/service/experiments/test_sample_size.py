"""How many users an experiment needs, against a number worked out by hand and by trial."""

from __future__ import annotations

import numpy as np
import pytest

from service.experiments.definitions import Arm
from service.experiments.sample_size import compared, users_needed
from tests.unit.service.experiments.builders import experiment


def test_two_equal_arms_need_what_the_formula_says() -> None:
    # 10 % against 11 % in each arm: (1.95996 + 0.84162)² · (0.1 · 0.9 + 0.11 · 0.89) / 0.01²
    assert users_needed(0.1, 0.1, 0.5, 0.5) / 2 == pytest.approx(14_748, abs=1)


def test_a_small_arm_asks_for_more_users() -> None:
    even, small = users_needed(0.1, 0.1, 0.5, 0.5), users_needed(0.1, 0.1, 0.9, 0.1)
    assert small > 2 * even
    assert users_needed(0.1, 0.1, 0.05, 0.05) == pytest.approx(10 * even, rel=1e-3)


def test_with_so_many_users_the_lift_is_found_in_four_of_five_experiments() -> None:
    rate, lift, control, other = 0.05, 0.2, 0.3, 0.1
    users = users_needed(rate, lift, control, other)
    rng = np.random.default_rng(1)
    n, m = int(users * control), int(users * other)
    first = rng.binomial(n, rate, 20_000) / n
    second = rng.binomial(m, rate * (1 + lift), 20_000) / m
    error = np.sqrt(first * (1 - first) / n + second * (1 - second) / m)
    found = np.abs(second - first) / error > 1.96
    assert found.mean() == pytest.approx(0.8, abs=0.03)


def test_what_is_compared_is_two_arms_or_the_rollout_and_the_rest() -> None:
    arms = (Arm("a", 5_000), Arm("b", 3_000), Arm("c", 2_000))
    ab = experiment(buckets=(0, 4_999), traffic=1_000, arms=arms)
    assert compared(ab) == pytest.approx((0.025, 0.01))
    rollout = experiment(kind="rollout", traffic=2_500, holdout=2_000, arms=arms[:1])
    assert compared(rollout) == pytest.approx((0.8, 0.2))
    assert compared(experiment(traffic=0)) is None
    assert compared(experiment(kind="rollout", arms=arms[:1])) is None
    assert compared(experiment(kind="shadow", arms=arms)) is None
