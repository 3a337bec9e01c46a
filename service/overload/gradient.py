"""How many requests this process may work on: a limit that follows what they wait for it. Pure.

After Netflix' concurrency-limits, `Gradient2Limit` (https://github.com/Netflix/concurrency-limits):
`limit := limit * gradient + sqrt(limit)`, where the gradient is the latency that is usual over the
one of now. There the latency is that of whole requests, and what is usual is learnt: a part that
becomes slow shrinks the limit, and a long overload becomes usual. Here the latency is what requests
wait for their turn to compute in this process, and nothing else (`run_queue`). So the reference is
a target, which cannot drift, and an engine that takes seconds leaves the limit alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

_STEEPEST = 0.5
"""A limit is at most halved at once."""
_GROWTH = 0.25
"""What a limit that is used grows by at once while nobody waits: from 64 to 256 in seven looks."""
_DECAY = 0.98
"""What is left of a limit of which not a quarter is used: half after 35 looks."""


_OF_DEADLINE = 0.1
"""Share of a request's time that it may wait to compute."""


class Usual(NamedTuple):
    """What requests are like of late, on average; 0: not known yet."""

    computed_s: float = 0.0
    """What one computes."""
    deadline_s: float = 0.0
    """The time that one has in all."""


UNKNOWN = Usual()


@dataclass(frozen=True, slots=True)
class GradientLimit:
    """The rule. `target_s`: the wait that is borne at the least, whatever time requests have;
    `least`, `first`, `most`: requests."""

    target_s: float
    most: float
    first: float = 64.0
    least: float = 16.0
    """So few are never too many: the first callers of a cold process wait long, and are served."""

    def target(self, usual: Usual = UNKNOWN) -> float:
        """The wait that is borne, seconds: a tenth of the time that requests have."""
        return max(self.target_s, _OF_DEADLINE * usual.deadline_s)

    def at_rest(self, usual: Usual = UNKNOWN) -> float:
        """The limit of a process that nobody waits for: as many may come at once.

        One that is not used comes back to it, from above and from below. As many as compute within
        the target may come together, after a pause of the process for example.
        """
        within = self.target(usual) / usual.computed_s if usual.computed_s > 0 else 0.0
        return min(max(self.first, within), self.most)

    def next(self, limit: float, wait_s: float, in_use: int, usual: Usual = UNKNOWN) -> float:
        """The limit after a look at which requests had waited `wait_s` on average.

        `in_use` is the most that were in work since the look before. Longer waits never give a
        higher limit (`tests/unit/service/overload/test_gradient.py`).
        """
        target_s = self.target(usual)
        step, rest = math.sqrt(limit), self.at_rest(usual)
        if wait_s > target_s:
            gradient = max(_STEEPEST, target_s / wait_s)
            # What is in work is what they wait for; places that nobody holds say nothing.
            new = min(limit, in_use) * gradient + step
        elif 2 * in_use >= limit or limit < rest:
            new = limit + max(step, _GROWTH * limit * (1 - wait_s / target_s))
        elif 4 * in_use < limit and limit > rest:
            # Room that is kept for later would let a sudden crowd in before any of it has waited.
            new = max(_DECAY * limit, rest)
        else:
            new = limit
        return min(max(new, min(self.least, self.most)), self.most)
