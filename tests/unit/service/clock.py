"""An event loop on which waiting takes no time, for tests of deadlines, intervals and patience."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock stands still while there is work, and else jumps to the next timer.

    So a deadline of 20 ms is neither missed by a machine that is busy nor waited for by an idle
    one. Not for tests whose work is done by threads or sockets: the clock would not wait for them.
    """

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Jumps(self._jump))

    def time(self) -> float:
        """Seconds that the timers have taken so far."""
        return self._now

    def _jump(self, seconds: float) -> None:
        self._now += seconds


class _Jumps(selectors.DefaultSelector):
    """Jumps where the loop would wait for a timer. With no timer to wait for, it really waits."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if not timeout:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self._jump(timeout)
        return ready
