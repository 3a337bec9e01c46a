"""Waiting until a moment, without blaming what is awaited for the event loop's own lag.

When the loop was busy until after that moment, an answer may lie in a socket that nobody has looked
at yet, and the timer that is due comes first. So whoever wakes up late lets the loop look before it
gives up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection
from typing import Any, TypeVar

T = TypeVar("T")

_LATE_S = 0.002
"""Later than this after the moment, the loop was busy with something else."""
_LOOKS = 4
"""Turns of the loop in which an answer that has arrived becomes a result: read, parsed, told."""


async def wait_by(tasks: Collection[asyncio.Future[Any]], until: float) -> set[asyncio.Future[Any]]:
    """Wait until all are done, or `until` (loop clock, seconds). Returns those that are not."""
    loop = asyncio.get_running_loop()
    _, waiting = await asyncio.wait(tasks, timeout=max(0.0, until - loop.time()))
    looks = _LOOKS if loop.time() > until + _LATE_S else 0
    while waiting and looks:
        await asyncio.sleep(0)
        waiting = {task for task in waiting if not task.done()}
        looks -= 1
    return waiting


async def result_by(work: Awaitable[T], until: float) -> T:
    """The result of `work`. Raises `TimeoutError` at `until`, when it has been cancelled.

    Being cancelled cancels the work too, and waits for its end. The work runs in the caller's own
    task: with one of its own, a call to Redis would cost a third more.
    """
    timer = _Timer(until)
    try:
        return await work
    except BaseException:
        if timer.took_back():
            raise TimeoutError from None
        raise
    finally:
        timer.stop()


class _Timer:
    """Cancels the running task at `until`, or some turns of the loop later where that was busy."""

    __slots__ = ("_before", "_handle", "_looks", "_loop", "_struck", "_task", "_until")

    def __init__(self, until: float) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can wait")
        self._task = task
        self._before = task.cancelling()
        self._loop = asyncio.get_running_loop()
        self._until = until
        self._looks = -1
        self._struck = False
        self._handle: asyncio.Handle = self._loop.call_at(until, self._due)

    def took_back(self) -> bool:
        """Take the cancelling back. True where the timer alone ended the work, and nobody else."""
        if not self._struck:
            return False
        self._struck = False
        return self._task.uncancel() <= self._before

    def stop(self) -> None:
        """Leave the task alone from now on."""
        self._handle.cancel()
        self.took_back()

    def _due(self) -> None:
        if self._looks < 0:
            self._looks = _LOOKS if self._loop.time() > self._until + _LATE_S else 0
        if self._looks:
            self._looks -= 1
            self._handle = self._loop.call_soon(self._due)
        else:
            self._struck = True
            self._task.cancel()
