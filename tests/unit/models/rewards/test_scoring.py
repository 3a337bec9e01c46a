"""Rewards together: what is missing is no zero, none drowns another, and no number is refused."""

from __future__ import annotations

import math

import pytest

from models.rewards.scoring import chosen_rewards, scores_of, together
from models.rewards.terms import REWARDS, Reward
from service.errors import ConfigurationError
from tests.unit.models.rewards.builders import outcome, target

TWO = chosen_rewards({"relevance": 1.0, "brevity": 0.5})


def test_a_list_without_a_query_gets_nothing_of_anything() -> None:
    scores = scores_of(target(), outcome(text="..."), tuple(REWARDS.values()))
    assert scores == dict.fromkeys(REWARDS, 0.0)


def test_a_reward_that_is_no_number_stops_with_its_name_and_whose_list_it_was() -> None:
    broken = Reward("relevance", lambda target, outcome: math.nan, 1.0)
    with pytest.raises(ConfigurationError, match="the reward relevance of a list for olga is nan"):
        scores_of(target(), outcome("ferry"), (broken,))


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ({"relevence": 1.0}, "rewards.relevence: there is no such reward; there are relevance,"),
        ({"form": 0.0}, "rewards.form: 0.0 is no weight"),
        ({"form": math.nan}, "rewards.form: nan is no weight"),
        ({}, "rewards: is empty; name some of relevance,"),
    ],
)
def test_weights_of_nothing_are_refused(weights: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        chosen_rewards(weights)
    assert str(raised.value).startswith(says)


def test_together_is_the_mean_by_weight_of_what_can_be_told() -> None:
    assert together({"relevance": 0.6, "brevity": 0.0}, TWO) == pytest.approx(0.4)
    assert together({"relevance": 0.6, "brevity": None}, TWO) == pytest.approx(0.6)
    assert together({"relevance": None, "brevity": None}, TWO) == 0.0
