"""Background work goes on, whatever it meets, and says what changed."""

from __future__ import annotations

import asyncio
import logging

import pytest

from service.repeating import Repeating

ERRORS: list[Exception | None] = [OSError("no disk"), OSError("no disk"), None, KeyError("oops")]


async def test_a_foreseen_failure_is_said_once_and_its_end_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls = 0
    all_met = asyncio.Event()

    async def work() -> None:
        nonlocal calls
        calls += 1
        if calls > len(ERRORS):
            all_met.set()
        elif (error := ERRORS[calls - 1]) is not None:
            raise error

    repeating = Repeating(work, 0.001, "sweeping", (OSError,))
    with caplog.at_level(logging.INFO):
        repeating.start()
        async with asyncio.timeout(10):
            await all_met.wait()
        await repeating.stop()
    assert [record.getMessage() for record in caplog.records] == [
        "sweeping failed: no disk",
        "sweeping works again",
        "sweeping failed in a way it should not; it goes on",
    ]
    assert not repeating.running


async def test_it_is_done_at_once_and_sooner_when_asked() -> None:
    done = asyncio.Semaphore(0)

    async def work() -> None:
        done.release()

    repeating = Repeating(work, 3_600, "sweeping", ())
    repeating.start()
    async with asyncio.timeout(10):
        await done.acquire()
        repeating.soon()
        await done.acquire()
    await repeating.stop()


async def test_stopping_ends_a_call_under_way() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    repeating = Repeating(work, 3_600, "sweeping", ())
    repeating.start()
    async with asyncio.timeout(10):
        await begun.wait()
        await repeating.stop()
    assert ended.is_set()
    await repeating.stop()
