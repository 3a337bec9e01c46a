"""What was known of the arms at the end of each day, as the tests start from it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tea_tasting.aggr import Aggregates

from models.verdict.measured import Metric
from models.verdict.statistics import summary
from models.verdict.users import BEFORE, DONE, Floats, Ints, Users

MOST_LOOKS = 60
"""An experiment of more days is looked at every few of them."""
FEWEST_USERS = 100
"""Of an arm: with fewer, means are too far from normal for any of the tests."""
COLUMNS = (*DONE, *BEFORE)

Arms = dict[str, Aggregates]
"""By arm; those with fewer than `FEWEST_USERS` are not in it."""


@dataclass(frozen=True, slots=True)
class Look:
    """The end of a day."""

    day: int
    """From 0."""
    arms: Arms


def look_days(days: int) -> list[int]:
    """The days, from 0, after which is looked; the last one always."""
    step = -(-days // MOST_LOOKS)
    return sorted(range(days - 1, -1, -step))


def looks(users: Users) -> Iterator[Look]:
    """Every look at all users who had entered by then."""
    total = np.zeros((len(users.arm), len(DONE)))
    done_before = 0
    for day in look_days(users.days):
        done_by_now = int(np.searchsorted(users.day, day, side="right"))
        _add(total, users, slice(done_before, done_by_now))
        done_before = done_by_now
        yield Look(day, summaries(users, total, users.entry_day <= day))


def totals(users: Users, first_day: int = 0, last_day: int | None = None) -> Floats:
    """(users, `DONE`) of all days from the first to the last one, both included."""
    start = int(np.searchsorted(users.day, first_day, side="left"))
    end = None if last_day is None else int(np.searchsorted(users.day, last_day, side="right"))
    total = np.zeros((len(users.arm), len(DONE)))
    _add(total, users, slice(start, end))
    return total


def summaries(users: Users, total: Floats, among: NDArray[np.bool_]) -> Arms:
    """By arm, of the users among whom is looked."""
    found = {}
    for number, arm in enumerate(users.arms):
        rows = among & (users.arm == number)
        if np.count_nonzero(rows) >= FEWEST_USERS:
            values = np.hstack([total[rows], users.before[rows]])
            found[arm] = summary(COLUMNS, values)
    return found


def entered(users: Users, arms: Sequence[str]) -> Ints:
    """(looks, arms): the users of each arm who had entered by each look."""
    days = np.asarray(look_days(users.days))
    numbers = {arm: number for number, arm in enumerate(users.arms)}
    return np.column_stack(
        [
            np.searchsorted(users.entry_day[users.arm == numbers.get(arm, -1)], days, side="right")
            for arm in arms
        ]
    ).astype(np.int64)


def has_history(users: Users, metric: Metric, arms: Sequence[str]) -> bool:
    """Whether enough users of each arm were seen before they entered to adjust a metric by it."""
    if metric.before is None:
        return False
    wanted = [BEFORE.index(name) for name in metric.before if name is not None]
    for arm in arms:
        before = users.before[users.arm == users.arms.index(arm)][:, wanted]
        if np.count_nonzero(before.any(axis=1)) < FEWEST_USERS:
            return False
    return True


def _add(total: Floats, users: Users, rows: slice) -> None:
    """Add the days of some rows; a user may have several of them."""
    for column in range(total.shape[1]):
        total[:, column] += np.bincount(
            users.user[rows], weights=users.done[rows, column], minlength=len(total)
        )
