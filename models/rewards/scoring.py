"""All rewards of an answer, and what they come to together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from models.rewards.records import Outcome, Target
from models.rewards.terms import REWARDS, Reward
from service.errors import ConfigurationError

Scores = Mapping[str, float | None]
"""By reward; None where it cannot be told."""


def chosen_rewards(weights: Mapping[str, float]) -> tuple[Reward, ...]:
    """The rewards of these names with these weights. Raises `ConfigurationError` for others."""
    for name, weight in weights.items():
        if name not in REWARDS:
            raise ConfigurationError(
                f"rewards.{name}: there is no such reward; there are {', '.join(REWARDS)}"
            )
        if not (math.isfinite(weight) and weight > 0):
            raise ConfigurationError(
                f"rewards.{name}: {weight} is no weight: give a number above 0, or leave it out"
            )
    if not weights:
        raise ConfigurationError(f"rewards: is empty; name some of {', '.join(REWARDS)}")
    return tuple(Reward(name, REWARDS[name].term, weight) for name, weight in weights.items())


def scores_of(
    target: Target, outcome: Outcome, rewards: Sequence[Reward]
) -> dict[str, float | None]:
    """Each reward of one answer; 0 of all of them where the answer holds no query.

    Raises `ConfigurationError` for a reward that is no number: nothing could be learnt from it.
    """
    scores: dict[str, float | None] = {}
    for reward in rewards:
        value = reward.term(target, outcome) if outcome.queries else 0.0
        if value is not None and not math.isfinite(value):
            raise ConfigurationError(
                f"the reward {reward.name} of a list for {target.user.id} is {value}; a reward is "
                "a number, or None where it cannot be told"
            )
        scores[reward.name] = value
    return scores


def together(scores: Scores, rewards: Sequence[Reward]) -> float:
    """The weighted mean of the rewards that can be told, 0 to 1: what plots and reports show."""
    told = [
        (reward.weight, value) for reward in rewards if (value := scores[reward.name]) is not None
    ]
    weight = sum(weight for weight, _ in told)
    return sum(weight * value for weight, value in told) / weight if weight else 0.0
