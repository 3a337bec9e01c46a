"""What is spent on a request as room runs out: less and less, before any is refused. Pure.

Pressure is the share of the room that is taken: 1 where the next request is refused. Each step
begins at a pressure of its own and ends only at one that is lower by `GAP`, so that what answers
are made of does not change back and forth with every request.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

GAP = 0.2
"""How far the pressure has to fall below where a step began."""
SMOOTHING = 0.3
"""What the newest pressure counts, beside those before it: a burst alone saves nothing."""


class Step(IntEnum):
    """How much is saved; each step saves what those before it do."""

    NOTHING = 0
    SAMPLES = 1
    """One sample of a list is written, instead of several that are merged."""
    HALF_OF_OWN = 2
    """Half of the user's own signals are searched beside the list."""
    ALL_OF_OWN = 3
    """None of them are: the list alone is searched."""


@dataclass(frozen=True, slots=True)
class Saving:
    """At which pressure saving begins: on samples, and on queries. Above 1: never.

    Where queries are saved, samples are, too.
    """

    samples_from: float
    queries_from: float

    def step(self, pressure: float, before: Step) -> Step:
        """The step at this pressure, after the one `before`.

        More pressure never saves less, and neither does an earlier step that saved more.
        """
        found = Step.NOTHING
        for step, begins in self._begins():
            if pressure >= begins or (before >= step and pressure >= begins - GAP):
                found = step
        return found

    def _begins(self) -> tuple[tuple[Step, float], ...]:
        halfway = (self.queries_from + max(1.0, self.queries_from)) / 2
        return (
            (Step.SAMPLES, min(self.samples_from, self.queries_from)),
            (Step.HALF_OF_OWN, self.queries_from),
            (Step.ALL_OF_OWN, halfway),
        )


def own_signals(step: Step, usual: int) -> int:
    """How many of the user's own signals are searched, where it is usually so many."""
    if step < Step.HALF_OF_OWN:
        return usual
    return (usual + 1) // 2 if step is Step.HALF_OF_OWN else 0


def smoothed(before: float, now: float) -> float:
    """The pressure to go by, after one that was `before` and one that is `now`."""
    return before + SMOOTHING * (now - before)
