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

_STEEPEST = 0.5
"""A limit is at most halved at once."""
_GROWTH = 0.25
"""What a limit that is used grows by at once while nobody waits: from 64 to 256 in seven looks."""
_DECAY = 0.98
"""What is left of a limit of which not a quarter is used: half after 35 looks."""


@dataclass(frozen=True, slots=True)
class GradientLimit:
    """The rule. `target_s`: the wait that is borne; `least`, `first`, `most`: requests."""

    target_s: float
    most: float
    first: float = 64.0
    least: float = 16.0
    """So few are never too many: the first callers of a cold process wait long, and are served."""

    @property
    def beginning(self) -> float:
        """The limit before anything was seen: as many may come at once. One that is not used comes
        back to it, from above and from below."""
        return min(self.first, self.most)

    def next(self, limit: float, wait_s: float, in_use: int) -> float:
        """The limit after a look at which requests had waited `wait_s` on average.

        `in_use` is the most that were in work since the look before. Longer waits never give a
        higher limit (`tests/unit/service/overload/test_gradient.py`).
        """
        step = math.sqrt(limit)
        if wait_s > self.target_s:
            gradient = max(_STEEPEST, self.target_s / wait_s)
            # What is in work is what they wait for; places that nobody holds say nothing.
            new = min(limit, in_use) * gradient + step
        elif 2 * in_use >= limit or limit < self.beginning:
            new = limit + max(step, _GROWTH * limit * (1 - wait_s / self.target_s))
        elif 4 * in_use < limit and limit > self.beginning:
            # Room that is kept for later would let a sudden crowd in before any of it has waited.
            new = max(_DECAY * limit, self.beginning)
        else:
            new = limit
        return min(max(new, min(self.least, self.most)), self.most)
