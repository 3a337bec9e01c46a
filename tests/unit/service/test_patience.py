"""A loop that was busy does not make others late."""

from __future__ import annotations

import asyncio
import time

import pytest

from service.patience import result_by, wait_by

PEERS: list[object] = []


def soon(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_what_arrived_while_the_loop_was_busy_is_taken() -> None:
    reader, writer = await _socket_pair()
    reading = asyncio.ensure_future(result_by(reader.readline(), soon(0.02)))
    await asyncio.sleep(0)
    writer.write(b"here\n")
    _work_for(0.1)  # past the moment: the answer lies in the socket
    assert await reading == b"here\n"
    writer.close()


async def test_what_does_not_come_is_given_up_in_time_and_ended() -> None:
    ended = asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        await result_by(never(), soon(0.01))
    assert ended.is_set()


async def test_being_cancelled_ends_the_work() -> None:
    ended = asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    waiting = asyncio.create_task(result_by(never(), soon(60)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()


async def test_work_that_ends_badly_because_it_is_given_up_was_too_late_all_the_same() -> None:
    async def closes() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("closed")

    with pytest.raises(TimeoutError):
        await result_by(closes(), soon(0.01))


async def test_whoever_was_given_up_on_can_wait_again_and_be_cancelled_again() -> None:
    async def waits() -> str:
        with pytest.raises(TimeoutError):
            await result_by(asyncio.Event().wait(), soon(0.01))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await result_by(asyncio.Event().wait(), soon(60))
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return await result_by(asyncio.sleep(0.01, "done"), soon(60))

    assert await asyncio.create_task(waits()) == "done"


async def test_being_cancelled_counts_more_than_being_late() -> None:
    async def slow_to_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)

    waiting = asyncio.create_task(result_by(slow_to_end(), soon(0.01)))
    await asyncio.sleep(0.03)  # it is late and ending
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_work_that_is_done_is_not_cancelled_afterwards() -> None:
    assert await result_by(asyncio.sleep(0, "done"), soon(0.01)) == "done"
    await asyncio.sleep(0.03)


async def test_an_error_of_the_work_is_raised_as_it_is() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await result_by(fail(), soon(1))


async def test_those_that_are_not_done_are_named() -> None:
    loop = asyncio.get_running_loop()
    done, waiting = loop.create_future(), loop.create_future()
    done.set_result(None)
    assert await wait_by({done, waiting}, soon(-1)) == {waiting}


def _work_for(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


async def _socket_pair() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    accepted: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set_result(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    reader, ours = await asyncio.open_connection(*server.sockets[0].getsockname())
    PEERS.append((server, ours))  # or they would be closed as garbage
    return reader, await accepted
