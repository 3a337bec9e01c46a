"""What an experiments file says, as frozen records. Shares are in points: 10,000 are everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

HEURISTIC = "heuristic"
"""An arm's `student` that writes its lists without a model."""
HOLDOUT = "holdout"
"""The name of the arm of those who are kept out; no arm of a file may have it."""

Kind = Literal["ab", "rollout"]
Change = tuple[str, ...]
"""A constant that an arm sets, such as `("fusion", "diversity")`; `("student",)` is one, too."""
_OF_LISTS = ("student", "sampling")
"""What decides who writes a list, and how."""

Keys = tuple[str | int, ...]
Fault = tuple[Keys, str]
"""Where in the file, and what is wrong there."""


def is_of_lists(change: Change) -> bool:
    """Whether it is the student or its sampling: one thing, for the constants are the student's."""
    return change[0] in _OF_LISTS


class Status(StrEnum):
    """What an experiment does."""

    RUNNING = "running"
    PAUSED = "paused"
    """Nobody is enrolled, and it may go on: what must not change stays fixed."""
    STOPPED = "stopped"
    """Over: nobody is enrolled, its buckets are free, its students may be gone."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to serve, and the points of those enrolled who get it."""

    name: str
    split: int
    student: str | None = None
    """`name@version`, `HEURISTIC`, or None for the student that serves without experiments."""
    fusion: Mapping[str, float] = field(default_factory=dict)
    retrieval: Mapping[str, int | float] = field(default_factory=dict)
    sampling: Mapping[str, int | float] = field(default_factory=dict)
    """How the student decodes, where that is not as its manifest says: fields of `Decoding`."""

    def changes(self) -> frozenset[Change]:
        """What it sets."""
        constants = {
            "sampling": self.sampling,
            "fusion": self.fusion,
            "retrieval": self.retrieval,
        }
        student = {("student",)} if self.student is not None else set[Change]()
        return frozenset(student | {(of, name) for of, held in constants.items() for name in held})


@dataclass(frozen=True, slots=True)
class Guard:
    """What the watcher may pause an experiment for; points of answers an arm may have more of."""

    sample_ratio: bool = False
    """Whether the arms must have the users that their splits say."""
    degraded: int | None = None
    empty: int | None = None
    slow: int | None = None
    slow_ms: int = 0
    """From how many milliseconds on an answer is slow."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """Arms that are compared, and the users they are compared on."""

    key: str
    kind: Kind
    status: Status
    buckets: tuple[int, int]
    """First and last bucket of the layer, both included."""
    traffic: int
    """Points of its users who are enrolled."""
    arms: tuple[Arm, ...]
    holdout: int = 0
    """Points of its users who are never enrolled, whatever `traffic` is."""
    starts_ms: int | None = None
    ends_ms: int | None = None
    allowlist: Mapping[str, str] = field(default_factory=dict)
    """User → arm: served it whatever the hashes say."""
    guard: Guard | None = None

    @property
    def goes_on(self) -> bool:
        """Whether it is not over: what must not change of it stays fixed."""
        return self.status is not Status.STOPPED

    @property
    def runs_at_all(self) -> bool:
        """Whether it is to enrol users between its start and its end."""
        return self.status is Status.RUNNING

    def runs(self, now_ms: int) -> bool:
        """Whether anybody is enrolled at this moment."""
        return (
            self.runs_at_all
            and (self.starts_ms is None or self.starts_ms <= now_ms)
            and (self.ends_ms is None or now_ms < self.ends_ms)
        )

    def changes(self) -> frozenset[Change]:
        """What any of its arms sets."""
        return frozenset[Change]().union(*(arm.changes() for arm in self.arms))

    @property
    def compares_lists(self) -> bool:
        """Whether any of its arms sets who writes the list, or how."""
        return any(map(is_of_lists, self.changes()))


@dataclass(frozen=True, slots=True)
class Layer:
    """Experiments that share no user; those of other layers are independent of them."""

    name: str
    salt: str
    experiments: tuple[Experiment, ...] = ()


@dataclass(frozen=True, slots=True)
class Experiments:
    """A whole file."""

    layers: tuple[Layer, ...] = ()
    written_ms: int = field(default=0, compare=False)
    """When the file was written; 0: there is none."""

    def by_key(self) -> dict[str, tuple[Layer, Experiment]]:
        """Every experiment with its layer; keys are distinct in a file."""
        return {one.key: (layer, one) for layer in self.layers for one in layer.experiments}


def percent(points: float) -> str:
    """Points as the file writes a share, say `12.5%`."""
    return f"{points / 100:g}%"
