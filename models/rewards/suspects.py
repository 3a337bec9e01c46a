"""Lists that may have got more than they deserve: what a person should read after a training.

A policy finds what a reward overlooks. It shows where the total is highest, and where two rewards
that usually go together are far apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from models.rewards.scoring import Scores, together
from models.rewards.terms import Reward


@dataclass(frozen=True, slots=True)
class Scored:
    """An answer with its rewards."""

    user: str
    text: str
    scores: Scores


@dataclass(frozen=True, slots=True)
class Suspect:
    """One of them that is worth reading, and why."""

    why: str
    scored: Scored
    amount: float
    """The weighted mean of its rewards; or how far two of them are apart, in their spreads."""


def highest(lists: Sequence[Scored], rewards: Sequence[Reward], most: int) -> list[Suspect]:
    """The lists with the highest rewards, different ones, the highest first."""
    different = {one.text: one for one in lists}.values()
    found = [Suspect("highest", one, together(one.scores, rewards)) for one in different]
    return sorted(found, key=lambda one: -one.amount)[:most]


def at_odds(lists: Sequence[Scored], rewards: Sequence[Reward], most: int) -> list[Suspect]:
    """The lists on which two rewards disagree most, at most one a pair of rewards.

    Rewards are compared in their spreads over all lists.
    """
    columns = {reward.name: _in_spreads(lists, reward.name) for reward in rewards}
    found = []
    for one, other in combinations(columns, 2):
        apart = columns[one] - columns[other]
        if np.isnan(apart).all():
            continue
        place = int(np.nanargmax(np.abs(apart)))
        high, low = (one, other) if apart[place] > 0 else (other, one)
        found.append(Suspect(f"{high} high, {low} low", lists[place], abs(float(apart[place]))))
    return sorted(found, key=lambda one: -one.amount)[:most]


def _in_spreads(lists: Sequence[Scored], name: str) -> npt.NDArray[np.float64]:
    values = np.array([np.nan if (v := one.scores[name]) is None else v for one in lists])
    if np.isnan(values).all() or not (spread := float(np.nanstd(values))):
        return np.full(len(values), np.nan)
    normed: npt.NDArray[np.float64] = (values - np.nanmean(values)) / spread
    return normed
