"""A loop that is kept from its work, and collections, are seen from within."""

from __future__ import annotations

import asyncio
import gc
import time

from service.pauses import PROBE_S, watched_pauses


async def _until(found: list[object]) -> None:
    async with asyncio.timeout(10):
        while not found:
            await asyncio.sleep(0.01)


async def test_a_loop_that_was_held_up_is_late_by_about_that() -> None:
    lags: list[float] = []
    async with watched_pauses(lags.append, lambda generation, seconds: None):
        await asyncio.sleep(0)  # the timer is set
        time.sleep(PROBE_S + 0.2)  # noqa: ASYNC251  # what it is about
        await _until(lags)
    assert lags[0] >= 0.2


async def test_each_collection_is_told_with_its_generation() -> None:
    found: list[object] = []
    async with watched_pauses(
        lambda lag: None,
        lambda generation, seconds: found.append(generation) if generation == 2 else None,
    ):
        gc.collect()
        await _until(found)
    assert found[0] == 2


async def test_nothing_is_watched_any_more_at_the_end() -> None:
    before = list(gc.callbacks)
    async with watched_pauses(lambda lag: None, lambda generation, seconds: None):
        assert len(gc.callbacks) == len(before) + 1
    assert gc.callbacks == before
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "pauses"]
