"""Who enters, leaves or changes arms when one file follows another. Pure, reckoned, not sampled.

A user's points are independent of each other, so the share of users in an experiment is that of
its buckets times that of the points above `holdout` times that of those below `traffic`, and two
versions of it share the users below both. Allowlists are left out: they are no shares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from service.experiments.definitions import Arm, Experiment, Experiments
from service.experiments.hashing import POINTS


@dataclass(frozen=True, slots=True)
class Moves:
    """What happens in an experiment, in points of all users."""

    key: str
    entering: float
    leaving: float
    moving: float
    """In it before and after, in another arm."""


def moves(now: Experiments, new: Experiments, now_ms: int) -> list[Moves]:
    """Each experiment in which a user's arm changes at this moment, in the order of their keys."""
    before, after = now.by_key(), new.by_key()
    found = []
    for key in sorted(before.keys() | after.keys()):
        old_layer, old = before.get(key, (None, None))
        new_layer, other = after.get(key, (None, None))
        was, will = _enrolled(old, now_ms), _enrolled(other, now_ms)
        both = moving = 0.0
        if old and other and was and will:
            if old_layer and new_layer and old_layer.salt == new_layer.salt:
                both, same = _shared(old, other), _same_arm(old.arms, other.arms)
            else:  # other points: who was in it says nothing of who will be
                both, same = was * will, _same_arm_by_chance(old.arms, other.arms)
            moving = both * (1 - same)
        one = Moves(key, *(round(x * POINTS, 6) for x in (will - both, was - both, moving)))
        if one.entering or one.leaving or one.moving:
            found.append(one)
    return found


def _enrolled(one: Experiment | None, now_ms: int) -> float:
    """Share of all users whom it serves: those enrolled, unless it serves nobody."""
    return _shared(one, one) if one and one.runs(now_ms) and not one.is_shadow else 0.0


def _shared(one: Experiment, other: Experiment) -> float:
    """Share of all users who are enrolled in both versions, under the same salt."""
    first = max(one.buckets[0], other.buckets[0])
    last = min(one.buckets[1], other.buckets[1])
    buckets = max(0, last - first + 1) / POINTS
    kept = 1 - max(one.holdout, other.holdout) / POINTS
    return buckets * kept * min(one.traffic, other.traffic) / POINTS


def _parts(arms: tuple[Arm, ...]) -> Iterator[tuple[str, int, int]]:
    """Each arm's name and its part of the points."""
    for arm, end in zip(arms, accumulate(arm.split for arm in arms), strict=True):
        yield arm.name, end - arm.split, end


def _same_arm(arms: tuple[Arm, ...], others: tuple[Arm, ...]) -> float:
    """Share of the points that both versions cut into the same arm."""
    parts = {name: (start, end) for name, start, end in _parts(others)}
    return sum(
        max(0, min(end, parts[name][1]) - max(start, parts[name][0])) / POINTS
        for name, start, end in _parts(arms)
        if name in parts
    )


def _same_arm_by_chance(arms: tuple[Arm, ...], others: tuple[Arm, ...]) -> float:
    shares = {arm.name: arm.split / POINTS for arm in others}
    return sum(arm.split / POINTS * shares.get(arm.name, 0.0) for arm in arms)
