"""Users of an experiment in memory, with click-throughs of their own."""

from __future__ import annotations

import numpy as np

from models.verdict.users import BEFORE, DONE, FIRST, Users

_DAYS, _DAY_MS = 4, 86_400_000
_DOMAINS = ("browse", "news", "search")


def simulated(
    users: int,
    *,
    lift: float = 0.0,
    arms: tuple[str, ...] = ("control", "other"),
    history: bool = False,
    seed: int = 1,
) -> Users:
    """Half enter on the first day, half on the third; `lift` is of all arms but the first."""
    random = np.random.default_rng(seed)
    arm = random.integers(len(arms), size=users)
    own = random.beta(2, 18, size=users)
    entry = np.repeat([0, 2], [users - users // 2, users // 2])
    shown = random.poisson(10, size=(_DAYS, users)) + 1
    shown[np.arange(_DAYS)[:, None] < entry] = 0
    clicks = random.binomial(shown, np.minimum(own * np.where(arm > 0, 1 + lift, 1), 1))
    day, user = np.nonzero(shown)
    done = np.zeros((len(day), len(DONE)))
    values = {
        "answers": np.ones(len(day)),
        "total_ms": random.gamma(4, 20, len(day)),
        "covered": np.ones(len(day)),
        "coverage_known": np.ones(len(day)),
        "impressions": shown[day, user],
        "clicks": clicks[day, user],
        "dwell_ms": clicks[day, user] * random.gamma(4, 5_000, len(day)),
    }
    for name, column in values.items():
        done[:, DONE.index(name)] = column
    before = np.zeros((users, len(BEFORE)))
    if history:
        before[:, 0] = random.poisson(60, size=users)
        before[:, 1] = random.binomial(before[:, 0].astype(int), own)
    return Users(
        arms=arms,
        arm=arm,
        entry_day=entry,
        signals=random.integers(1, 9, size=users),
        domain=np.array(_DOMAINS, dtype=object)[random.integers(3, size=users)],
        before=before,
        first=np.zeros((users, len(FIRST))),
        user=user,
        day=day,
        done=done,
        start_ms=0,
        end_ms=_DAYS * _DAY_MS - 1,
        day_ms=_DAY_MS,
        in_two_arms=0,
        forced=0,
    )
