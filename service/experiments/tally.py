"""What the watcher counts of an experiment's exposures, and when its guard is broken. Pure.

A user counts once, by the first exposure, towards the ratio of the arms; and once a day (UTC), by
the first exposure of the day, towards the shares of answers that are degraded, empty or slow. So
each count is of users, whom the hash has put into the arms independently of each other: the answers
of one user are not. Each day is judged by itself, or weeks of good answers would hide a bad hour.

Exposures that no hash gave (`allowlist`) or that were served as the request said (`override`) are
left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from math import log
from typing import Any

import orjson

from service.experiments.definitions import HOLDOUT, Experiment, Guard, percent
from service.experiments.hashing import POINTS
from service.experiments.sequential import ratio_evidence, worse_by

ALPHA = 0.001
"""How often a guard errs at the most: a ratio's ever, the others' on a day."""
_DAY_MS = 86_400_000
_LEFT_OUT = ("override", "allowlist")
_SHARES = ("degraded", "empty", "slow")
"""Fields of `Guard` that bound a share of answers."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Of an exposure what is counted."""

    user: str
    places: tuple[tuple[str, str, str | None], ...]
    """Experiment, assigned arm, reason."""
    degraded: bool
    empty: bool
    took_ms: float


def read_exposure(held: bytes) -> Exposure | None:
    """An entry of a stream of events; None where it is no exposure of a version that is known."""
    try:
        found: Any = orjson.loads(held)
        if found["v"] != 1:
            return None
        return Exposure(
            user=str(found["user"]),
            places=tuple((key, arm, reason) for key, _, arm, _, reason in found["places"]),
            degraded=bool(found["degraded"]),
            empty=not found["ids"],
            took_ms=float(found["ms"][-1]),
        )
    except (ValueError, KeyError, TypeError, IndexError):
        return None


class Tally:
    """The counts of one experiment, by arm; the first arm is the one to compare with."""

    def __init__(self, experiment: Experiment, guard: Guard, since_ms: int) -> None:
        """Exposures from before `since_ms` are left out."""
        self.arms = arms_of(experiment)
        self.since_ms = since_ms
        self._key = experiment.key
        self._slow_ms = guard.slow_ms
        self.users = [0] * len(self.arms)
        self._seen: set[bytes] = set()
        self.today = _Day(0, len(self.arms))

    def add(self, one: Exposure, at_ms: int) -> None:
        """Count an exposure, written at this moment; one of a day gone by for its user alone."""
        places = one.places
        arm = next((a for k, a, r in places if k == self._key and r not in _LEFT_OUT), None)
        if arm not in self.arms or at_ms < self.since_ms:
            return
        place, user = self.arms.index(arm), _digest(one.user)
        if user not in self._seen:
            self._seen.add(user)
            self.users[place] += 1
        day = at_ms // _DAY_MS
        if day > self.today.number:
            self.today = _Day(day, len(self.arms))
        if day == self.today.number and user not in self.today.seen:
            self.today.seen.add(user)
            self.today.users[place] += 1
            bad = one.degraded, one.empty, one.took_ms >= self._slow_ms
            for of, is_bad in zip(_SHARES, bad, strict=True):
                self.today.bad[of][place] += is_bad


@dataclass(slots=True)
class _Day:
    """The counts of a day."""

    number: int
    arms: int
    seen: set[bytes] = field(default_factory=set)
    users: list[int] = field(init=False)
    bad: dict[str, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.users = [0] * self.arms
        self.bad = {of: [0] * self.arms for of in _SHARES}


def arms_of(one: Experiment) -> tuple[str, ...]:
    """The arms, the one that others are compared with first."""
    names = tuple(arm.name for arm in one.arms)
    return (HOLDOUT, *names) if one.kind == "rollout" else names


def breaches(one: Experiment, guard: Guard, tally: Tally) -> Iterator[str]:
    """Why the experiment should be paused, each reason in words and numbers."""
    if guard.sample_ratio:
        shares = [arm.split / POINTS for arm in one.arms]
        if ratio_evidence(tally.users, shares) > log(1 / ALPHA):
            whole = sum(tally.users)
            yield "users are not in the arms as the splits say: " + ", ".join(
                f"{name} has {count:,} where {whole * share:,.0f} were expected"
                for name, count, share in zip(tally.arms, tally.users, shares, strict=True)
            )
    today = tally.today
    for of in _SHARES:
        allowed: int | None = getattr(guard, of)
        if allowed is None:
            continue
        counts = list(zip(today.bad[of], today.users, strict=True))
        for name, other in zip(tally.arms[1:], counts[1:], strict=True):
            # One part of the error for each arm's bounds.
            if worse_by(counts[0], other, ALPHA / len(counts)) > allowed / POINTS:
                told = f"slower than {guard.slow_ms} ms" if of == "slow" else of
                yield (
                    f"more than {percent(allowed)} more answers are {told}: today"
                    f" {_share(*other)} in {name}, {_share(*counts[0])} in {tally.arms[0]}"
                )


def _share(bad: int, users: int) -> str:
    return f"{bad:,} of {users:,} users ({bad / users:.1%})" if users else "no users"


def _digest(user: str) -> bytes:
    return blake2b(user.encode("utf-8", "surrogatepass"), digest_size=8).digest()
