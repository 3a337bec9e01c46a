"""Rewards together: what is missing is no zero, none drowns another, and no number is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.rewards.scoring import advantages, chosen_rewards, scores_of, together
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


def test_a_reward_of_small_spread_counts_as_much_as_one_of_great_spread() -> None:
    group = [{"relevance": 0.50, "brevity": 0.0}, {"relevance": 0.51, "brevity": 1.0}]
    equal = chosen_rewards({"relevance": 1.0, "brevity": 1.0})
    worse, better = advantages(group, equal)
    swapped = [{"relevance": 0.51, "brevity": 0.0}, {"relevance": 0.50, "brevity": 1.0}]
    assert better == pytest.approx(-worse)
    assert advantages(swapped, equal) == pytest.approx([0, 0], abs=0.05)


def test_what_cannot_be_told_counts_as_the_groups_mean() -> None:
    group = [
        {"relevance": 0.0, "brevity": 1.0},
        {"relevance": None, "brevity": 1.0},
        {"relevance": 1.0, "brevity": 1.0},
    ]
    low, unknown, high = advantages(group, TWO)
    assert unknown == 0
    assert low < 0 < high


def test_where_one_alone_can_be_told_there_is_nothing_to_compare() -> None:
    group = [{"relevance": 0.7, "brevity": None}, {"relevance": None, "brevity": None}]
    assert np.array_equal(advantages(group, TWO), [0, 0])


def test_together_is_the_mean_by_weight_of_what_can_be_told() -> None:
    assert together({"relevance": 0.6, "brevity": 0.0}, TWO) == pytest.approx(0.4)
    assert together({"relevance": 0.6, "brevity": None}, TWO) == pytest.approx(0.6)
    assert together({"relevance": None, "brevity": None}, TWO) == 0.0
