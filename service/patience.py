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

    Being cancelled cancels the work too, and waits for its end.
    """
    task = asyncio.ensure_future(work)
    try:
        if await wait_by({task}, until):
            raise TimeoutError
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
