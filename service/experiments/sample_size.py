"""How many users an experiment needs to see a difference between two rates. Pure.

The usual normal approximation for two proportions, each with its own variance and its own share of
the users: two-sided at 5 %, found in 80 % of the experiments in which it is there.
"""

from __future__ import annotations

from math import ceil
from statistics import NormalDist

from service.experiments.definitions import Experiment
from service.experiments.hashing import POINTS

_SEEN = NormalDist().inv_cdf(1 - 0.05 / 2) + NormalDist().inv_cdf(0.8)


def users_needed(rate: float, lift: float, control: float, other: float) -> int:
    """Users to be seen in all, `control` and `other` being the shares of them in the two arms.

    `rate` is the control's share of users with the outcome, `rate * (1 + lift)` the other arm's;
    both are above 0 and below 1, `lift` is not 0, and the shares are above 0.
    """
    lifted = rate * (1 + lift)
    variance = rate * (1 - rate) / control + lifted * (1 - lifted) / other
    return ceil(_SEEN**2 * variance / (lifted - rate) ** 2)


def compared(one: Experiment) -> tuple[float, float] | None:
    """The shares of all users in the two arms that are told apart; None where there are not two,
    or where nobody is served with them.

    Of an `ab` these are the first arm, and the smallest of the others; of a rollout those in its
    buckets who are not in its arm, and those who are.
    """
    if one.is_shadow:
        return None
    first, last = one.buckets
    users = (last - first + 1) / POINTS
    enrolled = (1 - one.holdout / POINTS) * one.traffic / POINTS
    if one.kind == "rollout":
        shares = users * (1 - enrolled), users * enrolled
    else:
        control, *others = (users * enrolled * arm.split / POINTS for arm in one.arms)
        shares = control, min(others)
    return shares if min(shares) > 0 else None
