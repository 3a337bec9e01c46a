"""Whether what is seen early foretells what comes later. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from models.verdict.looks import FEWEST_USERS, summaries, totals
from models.verdict.measured import PRIMARY
from models.verdict.statistics import Effect, effect
from models.verdict.users import Users


@dataclass(frozen=True, slots=True)
class Early:
    """The first day against the later ones."""

    users: int
    """Those who were shown articles on their first day and later."""
    correlation: float
    """Spearman's, over users: click-through of the first day with that of all later days."""
    p_value: float


@dataclass(frozen=True, slots=True)
class Halves:
    """The effect in the two halves of the period, on the users who entered in the first one."""

    first: Effect
    second: Effect

    @property
    def foretold(self) -> bool:
        """Whether the second half's effect is one that the first half's interval allows."""
        return self.first.low <= self.second.change <= self.first.high


def early(users: Users) -> Early | None:
    """Whether users who click on their first day click later; None with too few to say."""
    shown, clicked, later_shown, later_clicked = users.first.T
    both = (shown > 0) & (later_shown > 0)
    if np.count_nonzero(both) < FEWEST_USERS:
        return None
    first, later = clicked[both] / shown[both], later_clicked[both] / later_shown[both]
    if np.ptp(first) == 0 or np.ptp(later) == 0:
        return None
    found = spearmanr(first, later)
    return Early(int(both.sum()), float(found.statistic), float(found.pvalue))


def halves(users: Users, control: str, other: str, level: float) -> Halves | None:
    """The primary effect in each half; None where it cannot be told in both."""
    if users.days < 2:
        return None
    middle = users.days // 2
    among = users.entry_day < middle
    found = []
    for days in ((0, middle - 1), (middle, users.days - 1)):
        arms = summaries(users, totals(users, *days), among)
        if control not in arms or other not in arms:
            return None
        found.append(effect(PRIMARY, arms[control], arms[other], level=level))
    first, second = found
    return Halves(first, second) if first is not None and second is not None else None
