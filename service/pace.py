"""How many requests this process can answer in time: learnt from what they cost it.

Places alone (`service.overload`) know no deadline: 250 requests of 12 ms of work each are fine for
callers who wait for five seconds, and late for all who wait for 300 ms. So a request is begun only
if the work of those before it and its own fit into a share of the time that it has, and is refused
otherwise: a refusal at once is worth more than an answer that comes too late to be used.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from service.errors import Overloaded, Refusal

_WINDOW = 16
"""Requests whose cost is measured together: the work of one alone cannot be told from others'."""
_NEWEST = 0.3
"""What the newest measurement counts, beside those before it."""
_SHARE, _LEAST_SHARE = 0.5, 0.1
"""Share of a request's time that the work before it may fill, at most and after much lateness: the
rest is for what is not seen here, a busy loop before a request is read and other processes."""
_FIRST_COST_S = 0.025
"""What a request is taken to cost before any was measured: the first ones find every cache cold."""
_LATE_S = 0.005
_RECENT = 64
"""Deadlines that are remembered, to refuse before a body is read."""


@dataclass(slots=True)
class Arrival:
    """A request that is counted. `begun`: a turn has been made of it."""

    begun: bool = False


class Pace:
    """Begins requests that can be answered in time, and refuses the others.

    `clock` gives the seconds of CPU that this process has used, all threads together; `refused` is
    told of each refusal.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.process_time,
        refused: Callable[[Refusal], None] = lambda reason: None,
    ) -> None:
        self._clock = clock
        self._refused = refused
        self._cost_s = _FIRST_COST_S
        self._share = _SHARE
        self._in_work = 0
        self._ended = 0
        self._measured_at = clock()
        self._busy_s = 0.0
        self._recent: deque[float] = deque(maxlen=_RECENT)

    @property
    def in_work(self) -> int:
        """Requests that have arrived or been begun, and have not ended."""
        return self._in_work

    @property
    def cost_s(self) -> float:
        """Seconds of CPU that a request takes."""
        return self._cost_s

    @property
    def idle(self) -> bool:
        """Whether the work at hand fills less than half of what would be begun, for the least
        patient of the recent requests."""
        if not self._recent:
            return True
        return 2 * self._in_work * self._cost_s < self._share * min(self._recent)

    def refuse_hopeless(self) -> None:
        """Raise `Overloaded` where not even the most patient of the recent requests would fit.

        For use before a body is read.
        """
        if self._recent:
            self._require(max(self._recent), others=self._in_work)

    @contextmanager
    def arrival(self) -> Iterator[Arrival]:
        """Count a request that is at hand as one in work, before its own deadline is known.

        Many that arrive at once would all be let in otherwise, since none of them has begun, and
        the parsing of their bodies alone would make those in work late. Raises `Overloaded`
        where it is hopeless.
        """
        self.refuse_hopeless()
        with self._counted():
            yield Arrival()

    @contextmanager
    def turn(
        self, time_s: float, arrival: Arrival | None = None
    ) -> Iterator[Callable[[float], None]]:
        """Work on a request that has `time_s` seconds for the block.

        The first turn of an `arrival` is what has been counted; more of it, the other entries of a
        batch, count by themselves. Tell what the block is given how many seconds were left at its
        end. Raises `Overloaded` where it would not fit.
        """
        self._recent.append(time_s)
        counted = arrival is not None and not arrival.begun
        self._require(time_s, others=self._in_work - counted)
        with nullcontext() if counted else self._counted():
            if arrival is not None:
                arrival.begun = True
            try:
                yield self._learn
            finally:
                self._ended += 1

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._in_work == 0:
            self._measured_at = self._clock()
        self._in_work += 1
        try:
            yield
        finally:
            self._in_work -= 1
            if self._in_work == 0 or self._ended >= _WINDOW:
                self._measure()

    def _require(self, time_s: float, others: int) -> None:
        needs_s = (others + 1) * self._cost_s
        if others and needs_s > self._share * time_s:
            self._refused(Refusal.DEADLINE)
            raise Overloaded(
                f"{others} requests are in work, more than can be answered within "
                f"{time_s * 1000:.0f} ms"
            )

    def _learn(self, left_s: float) -> None:
        """Late answers lower the share at once, answers in time raise it little by little."""
        if left_s < -_LATE_S:
            self._share = max(_LEAST_SHARE, 0.9 * self._share)
        else:
            self._share = min(_SHARE, self._share + 0.002)

    def _measure(self) -> None:
        now = self._clock()
        self._busy_s += now - self._measured_at
        self._measured_at = now
        if self._ended < _WINDOW:
            return
        newest = self._busy_s / self._ended
        self._cost_s += _NEWEST * (newest - self._cost_s)
        self._busy_s, self._ended = 0.0, 0
