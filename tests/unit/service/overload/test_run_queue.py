"""One request computes in two rounds of the loop; who is nearly done goes first."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from service.overload.run_queue import RunQueue


async def rounds(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_who_comes_alone_does_not_wait() -> None:
    queue = RunQueue()
    for _ in range(5):
        turn = asyncio.ensure_future(queue.turn())
        await asyncio.sleep(0)
        assert turn.done()
        await rounds(2)
    seen = queue.seen()
    assert (seen.waited_s, seen.begun) == (0.0, 5)
    assert queue.seen() == (0.0, 0, 0.0, 0.0)


async def test_it_is_known_what_turns_compute_and_not_what_happens_between_them() -> None:
    now = 0.0
    queue = RunQueue(lambda: now)

    async def request() -> None:
        nonlocal now
        await queue.turn(total_s=2.0)
        now += 0.003
        await asyncio.sleep(0)
        await queue.turn(finishing=True)
        now += 0.005

    await asyncio.gather(*(request() for _ in range(10)))
    await rounds(3)
    now += 7.0
    await request()
    await rounds(3)
    seen = queue.seen()
    assert seen.computed_s == pytest.approx(11 * 0.008)
    assert seen.deadlines_s == 22


async def test_those_who_come_together_compute_in_different_rounds_of_the_loop() -> None:
    queue, now, computed = RunQueue(), 0, list[int]()

    async def request() -> None:
        await queue.turn()
        computed.append(now)

    requests = [asyncio.ensure_future(request()) for _ in range(20)]
    while not all(one.done() for one in requests):
        await asyncio.sleep(0)
        now += 1
    gaps = {later - sooner for sooner, later in itertools.pairwise(computed)}
    assert gaps == {2}, "what arrived meanwhile has a round in between"
    seen = queue.seen()
    assert seen.begun == 20
    assert seen.waited_s > 0
    assert queue.waiting == 0


async def test_who_is_finishing_goes_before_those_who_have_not_begun() -> None:
    queue, order = RunQueue(), list[str]()

    async def request(name: str, finishing: bool) -> None:
        await queue.turn(finishing=finishing)
        order.append(name)

    await asyncio.gather(request("first", False), request("new", False), request("done soon", True))
    assert order == ["first", "done soon", "new"]
    assert queue.seen().begun == 2, "who finishes has been counted before"


async def test_a_request_that_is_cancelled_while_it_waits_leaves_its_turn_to_the_next() -> None:
    queue = RunQueue()
    first, gone, next_one = (asyncio.ensure_future(queue.turn()) for _ in range(3))
    await asyncio.sleep(0)
    assert first.done()
    gone.cancel()
    await rounds(6)
    assert next_one.done()
    assert gone.cancelled()
    await rounds(3)
    assert queue.waiting == 0
    await asyncio.wait_for(queue.turn(), 1)


async def test_one_that_is_cancelled_after_it_was_given_its_turn_holds_nobody_up() -> None:
    queue = RunQueue()
    requests = [asyncio.ensure_future(queue.turn()) for _ in range(3)]
    await rounds(2)  # the second has been given its turn, and not begun
    requests[1].cancel()
    await rounds(6)
    assert requests[2].done()
