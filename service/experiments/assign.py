"""Which arms a user is in. Pure, and the same on every replica at every time.

Three questions, each a point of its own under a salt of its own (`hashing.point`):

1. Which experiment of the layer? The bucket under `LAYER_SALT`, in the experiments' ranges.
2. Is the user enrolled? The point under `LAYER_SALT:KEY:enrolment` is below `traffic`. A higher
   `traffic` adds users and moves none.
3. Which arm? The point under `LAYER_SALT:KEY:arm`, cut by the arms' splits in their order. So an
   arm does not depend on `traffic` at all.

Before the second, a point under `LAYER_SALT:KEY:holdout` below `holdout` keeps a user out for good.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf

from service.experiments.definitions import HOLDOUT, Arm, Experiment, Experiments, Layer, Status
from service.experiments.hashing import point_of, prefix, user_bytes


@dataclass(frozen=True, slots=True)
class Assignment:
    """A user's place in an experiment: an arm, or the holdout."""

    experiment: Experiment
    layer: str
    arm: Arm | None
    """None: the holdout."""
    listed: bool = False
    """Whether the allowlist says so, and no hash."""

    @property
    def assigned(self) -> str:
        """The arm's name."""
        return HOLDOUT if self.arm is None else self.arm.name


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An experiment with all that can come of it, made once for all users."""

    first: int
    last: int
    starts_ms: float
    ends_ms: float
    held_out_points: int
    enrolled_points: int
    holdout: bytes
    enrolment: bytes
    arm: bytes
    ends: tuple[int, ...]
    """The points at which the arms' parts end."""
    held_out: Assignment
    arms: tuple[Assignment, ...]


class Assigner:
    """Assigns users by one file. Made once for a file, asked once a request."""

    def __init__(self, experiments: Experiments) -> None:
        self.experiments = experiments
        self._layers = [_layer(layer) for layer in experiments.layers if _running(layer)]

    def assign(self, user_id: str, now_ms: int) -> tuple[Assignment, ...]:
        """The user's places in the experiments that run now, at most one of each layer."""
        user = user_bytes(user_id)
        found = []
        for layer in self._layers:
            forced = layer.listed.get(user_id)
            if forced is not None and forced.experiment.runs(now_ms):
                found.append(forced)
                continue
            bucket = point_of(layer.salt, user)
            for one in layer.candidates:
                if one.first <= bucket <= one.last:
                    if one.starts_ms <= now_ms < one.ends_ms and (place := _place(one, user)):
                        found.append(place)
                    break
        return tuple(found)


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer's running experiments, ready to ask."""

    salt: bytes
    candidates: tuple[_Candidate, ...]
    listed: dict[str, Assignment]


def _running(layer: Layer) -> list[Experiment]:
    return [one for one in layer.experiments if one.status is Status.RUNNING]


def _layer(layer: Layer) -> _Layer:
    running = _running(layer)
    candidates = tuple(_candidate(layer, one) for one in running)
    return _Layer(prefix(layer.salt), candidates, dict(_listed(layer, running)))


def _candidate(layer: Layer, experiment: Experiment) -> _Candidate:
    salt = f"{layer.salt}:{experiment.key}"
    return _Candidate(
        *experiment.buckets,
        starts_ms=-inf if experiment.starts_ms is None else experiment.starts_ms,
        ends_ms=inf if experiment.ends_ms is None else experiment.ends_ms,
        held_out_points=experiment.holdout,
        enrolled_points=experiment.traffic,
        holdout=prefix(f"{salt}:holdout"),
        enrolment=prefix(f"{salt}:enrolment"),
        arm=prefix(f"{salt}:arm"),
        ends=tuple(accumulate(arm.split for arm in experiment.arms)),
        held_out=Assignment(experiment, layer.name, None),
        arms=tuple(Assignment(experiment, layer.name, arm) for arm in experiment.arms),
    )


def _place(one: _Candidate, user: bytes) -> Assignment | None:
    if one.held_out_points and point_of(one.holdout, user) < one.held_out_points:
        return one.held_out
    if point_of(one.enrolment, user) >= one.enrolled_points:
        return None
    return one.arms[bisect(one.ends, point_of(one.arm, user)) if len(one.arms) > 1 else 0]


def _listed(layer: Layer, running: Sequence[Experiment]) -> Iterator[tuple[str, Assignment]]:
    """Users on an allowlist of the layer, and their places."""
    for experiment in running:
        arms = {arm.name: arm for arm in experiment.arms}
        for user_id, name in experiment.allowlist.items():
            yield user_id, Assignment(experiment, layer.name, arms[name], listed=True)
