"""Simulated experiments: what is there is found, and what is not there is not."""

from __future__ import annotations

import numpy as np

from models.studies.sequential_looks import (
    DAYS,
    RATE,
    Kind,
    found,
    ratio_found,
    simulated,
    variance,
)
from models.verdict.users import BEFORE, DONE


def test_users_click_at_the_rate_that_is_said_and_not_before_they_enter() -> None:
    users = simulated(20_000, 0.0, np.random.default_rng(1), at_once=False, history=True)
    shown, clicks = users.done[:, DONE.index("impressions")], users.done[:, DONE.index("clicks")]
    assert abs(clicks.sum() / shown.sum() - RATE) < 0.005
    assert (users.day >= users.entry_day[users.user]).all()
    assert len(np.unique(users.entry_day)) == users.days == DAYS
    assert users.before[:, BEFORE.index("clicks_before")].sum() > 0


def test_a_large_lift_is_found_in_every_experiment() -> None:
    shares = found(Kind("lifted", 0.5, 2_000), 5, np.random.default_rng(1))
    assert shares.any_look == shares.last_look == 1


def test_where_there_is_nothing_daily_looks_mislead_the_usual_test_only() -> None:
    shares = found(Kind("alike", 0.0, 300), 40, np.random.default_rng(1))
    assert shares.any_look <= 0.05 < shares.usual_any
    assert shares.last_look <= shares.any_look
    assert shares.usual_last <= shares.usual_any


def test_a_wrong_assignment_is_called_broken_and_a_right_one_is_not() -> None:
    random = np.random.default_rng(1)
    assert ratio_found(0.6, 5_000, 20, random) == (1.0, 1.0)
    assert ratio_found(0.5, 5_000, 20, random) == (0.0, 0.0)


def test_what_users_did_before_explains_a_part_of_the_variance() -> None:
    random = np.random.default_rng(1)
    plain, adjusted = (variance(random, history=one, users=20_000) for one in (False, True))
    assert adjusted < 0.8 * plain
