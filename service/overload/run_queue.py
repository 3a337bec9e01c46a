"""Requests compute one after the other, and what they wait for it is known.

An event loop runs everything that is ready before it looks at its sockets again. With twenty
requests whose answers from Redis came together, a round took as long as twenty requests compute,
and a refusal that takes a fraction of a millisecond left after all of them. Here one request
computes in every second round, and in the rounds between what has arrived meanwhile is let in or
refused. What the others wait is the time that this process, and no part behind it,
costs them: the signal that the limit of requests in work follows.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple


class Seen(NamedTuple):
    """What happened between two looks."""

    waited_s: float
    """Seconds that requests waited for turns, all together."""
    begun: int
    """Requests that asked for their first turn."""
    computed_s: float
    """Seconds of turns, with what arrived in the same rounds."""
    deadlines_s: float
    """Seconds that these requests have in all, together."""


class RunQueue:
    """Gives turns, one in two rounds of the event loop; those who are nearly done go first."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """`clock` gives seconds; uvloop's own has whole milliseconds."""
        self._clock = clock
        self._new: deque[asyncio.Future[None]] = deque()
        self._finishing: deque[asyncio.Future[None]] = deque()
        self._given = False
        """Whether the turn of these two rounds has been given."""
        self._began: float | None = None
        """When that turn began; None: it has ended."""
        self._waited_s = 0.0
        self._begun = 0
        self._computed_s = 0.0
        self._deadlines_s = 0.0

    @property
    def waiting(self) -> int:
        """Requests that could compute, and have to wait."""
        return len(self._new) + len(self._finishing)

    async def turn(self, *, finishing: bool = False, total_s: float = 0.0) -> None:
        """Wait for a turn, which ends with the caller's next await.

        `finishing`: the request has computed before, and is not to wait for those that have not.
        `total_s`: the time that a request has, which asks for its first turn.
        """
        self._begun += not finishing
        self._deadlines_s += total_s
        if not self._given:
            self._given = True
            self._began = self._clock()
            asyncio.get_running_loop().call_soon(self._next)
            return
        began = self._clock()
        turn = asyncio.get_running_loop().create_future()
        (self._finishing if finishing else self._new).append(turn)
        try:
            await turn
        finally:
            self._waited_s += self._clock() - began

    def seen(self) -> Seen:
        """What happened since the last look."""
        seen = Seen(self._waited_s, self._begun, self._computed_s, self._deadlines_s)
        self._waited_s, self._begun, self._computed_s, self._deadlines_s = 0.0, 0, 0.0, 0.0
        return seen

    def _next(self) -> None:
        """A round in which nobody computes: who does in the next one is found."""
        self._end()
        while queue := self._finishing or self._new:
            turn = queue.popleft()
            if not turn.done():  # its request was cancelled otherwise
                turn.set_result(None)
                self._began = self._clock()
                asyncio.get_running_loop().call_soon(self._computed)
                return
        self._given = False

    def _computed(self) -> None:
        """The end of a round in which a request computed.

        What came meanwhile is read before the next round, and stands in it before `_next`'s next.
        """
        self._end()
        asyncio.get_running_loop().call_soon(self._next)

    def _end(self) -> None:
        if self._began is not None:
            self._computed_s += self._clock() - self._began
            self._began = None
