"""Work that several callers wait for at once: done once, and owned by none of them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedWork(Generic[T]):
    """One task and how many wait for it. A caller that leaves takes nothing from the others.

    With `ends_when_left` the task is cancelled once the last of them has left; without, it goes on
    for whoever comes next. An error that nobody waits for any more is not reported as lost.
    """

    def __init__(
        self, work: Coroutine[None, None, T], *, ends_when_left: bool, name: str | None = None
    ) -> None:
        self.task: asyncio.Task[T] = asyncio.create_task(work, name=name)
        self.waiters = 0
        self._ends_when_left = ends_when_left
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())

    @property
    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.task.done()

    def join(self) -> None:
        """One more waits for it."""
        self.waiters += 1

    def leave(self) -> bool:
        """One has gone. True where the work was cancelled for want of anybody else."""
        self.waiters -= 1
        if self.waiters == 0 and self._ends_when_left and not self.task.done():
            self.task.cancel()
            return True
        return False

    async def result(self) -> T:
        """Wait for its end, without ending it by being cancelled. Raises what the work raises."""
        self.join()
        try:
            return await asyncio.shield(self.task)
        finally:
            self.leave()
