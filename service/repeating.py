"""Work done over and over in the background: it outlives its failures and says them once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)


class Repeating:
    """Calls `work` at once and then every `every_s` seconds, or sooner when asked.

    `what` names it in the log ("reading the popular articles"). A failure of one of the kinds
    `foreseen` is logged once, and once more when it is over; any other each time, with its trace.
    """

    def __init__(
        self,
        work: Callable[[], Awaitable[object]],
        every_s: float,
        what: str,
        foreseen: tuple[type[Exception], ...],
    ) -> None:
        self._work = work
        self._every_s = every_s
        self._what = what
        self._foreseen = foreseen
        self._soon = asyncio.Event()
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it has been started and not been stopped."""
        return self._task is not None

    def start(self) -> None:
        """Begin; does not wait for the first call."""
        self._task = asyncio.create_task(self._for_ever(), name=self._what)

    async def stop(self) -> None:
        """End, in the middle of a call if need be."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def soon(self) -> None:
        """Do it again now, without waiting for it."""
        self._soon.set()

    async def _for_ever(self) -> None:
        while True:
            self._soon.clear()
            try:
                await self._work()
            except self._foreseen as error:
                if not self._failing:
                    log.warning("%s failed: %s", self._what, _said(error))
                self._failing = True
            except Exception:
                log.exception("%s failed in a way it should not; it goes on", self._what)
            else:
                if self._failing:
                    log.info("%s works again", self._what)
                self._failing = False
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._soon.wait(), self._every_s)


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
