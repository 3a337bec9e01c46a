"""Work that several wait for is done once, and goes when nobody wants it any more."""

from __future__ import annotations

import asyncio

import pytest

from service.shared_work import SharedWork


async def test_all_who_wait_get_the_one_result() -> None:
    begun = 0

    async def work() -> int:
        nonlocal begun
        begun += 1
        await asyncio.sleep(0)
        return 7

    shared = SharedWork(work(), ends_when_left=True)
    assert await asyncio.gather(*(shared.result() for _ in range(3))) == [7, 7, 7]
    assert (begun, shared.waiters, shared.done) == (1, 0, True)


@pytest.mark.parametrize("ends_when_left", [True, False])
async def test_one_that_leaves_takes_nothing_from_the_others_and_the_last_ends_it_if_so_agreed(
    ends_when_left: bool,
) -> None:
    never = asyncio.Event()
    shared = SharedWork(never.wait(), ends_when_left=ends_when_left)
    first, last = (asyncio.create_task(shared.result()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    assert (shared.waiters, shared.done) == (1, False)
    last.cancel()
    await asyncio.wait([last])
    await asyncio.sleep(0)
    assert (shared.waiters, shared.task.cancelled()) == (0, ends_when_left)
    never.set()
    await asyncio.wait([shared.task])


async def test_each_who_waits_hears_of_the_error() -> None:
    async def work() -> None:
        raise ValueError("broken")

    shared = SharedWork(work(), ends_when_left=True)
    said = await asyncio.gather(*(shared.result() for _ in range(2)), return_exceptions=True)
    assert [str(error) for error in said] == ["broken", "broken"]
