"""What holds up all requests at once: a busy event loop, and the garbage collector.

Both are measured from within. A timer that fires late shows how long the loop was kept from its
work; Python tells when a collection begins and ends.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

PROBE_S = 0.1
"""Between two looks at the loop."""
_MOST_KEPT = 10_000
"""Collections that are remembered between two looks; the oldest of more are forgotten."""


@asynccontextmanager
async def watched_pauses(
    on_lag: Callable[[float], None], on_collection: Callable[[int, float], None]
) -> AsyncIterator[None]:
    """Report the running loop's lags and the process's collections for the block.

    `on_lag` gets the seconds by which a timer was late, ten times a second. `on_collection` gets a
    generation and its seconds, a little after the fact. Both are called from a task of the loop.
    """
    collections = _Collections()
    gc.callbacks.append(collections.told)
    probing = asyncio.create_task(_probe(on_lag, on_collection, collections), name="pauses")
    try:
        yield
    finally:
        gc.callbacks.remove(collections.told)
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)


class _Collections:
    """The collections since the last look.

    They are only noted when they happen: a collection may begin while its own thread holds the
    lock of a metric, so that counting it there and then could wait for itself for ever.
    """

    def __init__(self) -> None:
        self._began = 0.0
        self._ended: deque[tuple[int, float]] = deque(maxlen=_MOST_KEPT)

    def told(self, phase: str, about: Mapping[str, int]) -> None:
        """Python's call before and after a collection (`gc.callbacks`)."""
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._ended.append((about["generation"], time.perf_counter() - self._began))

    def hand_over(self, on_collection: Callable[[int, float], None]) -> None:
        """Report each of them and forget them."""
        while self._ended:
            on_collection(*self._ended.popleft())


async def _probe(
    on_lag: Callable[[float], None],
    on_collection: Callable[[int, float], None],
    collections: _Collections,
) -> None:
    while True:
        # Not the loop's clock: uvloop's has whole milliseconds.
        due = time.perf_counter() + PROBE_S
        await asyncio.sleep(PROBE_S)
        on_lag(max(0.0, time.perf_counter() - due))
        collections.hand_over(on_collection)
