from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from loadtests.raw_client import Reply
from loadtests.rig.loops import NO_ANSWER, OK, Call, Calls, Request, closed_loop, open_loop
from loadtests.rig.sides import closed_side, turn_of
from service.errors import ConfigurationError

HOST = "127.0.0.1"


@dataclass
class Server:
    """What it was sent, over how many connections."""

    port: int = 0
    bodies: list[str] = field(default_factory=list)
    connections: int = 0


@asynccontextmanager
async def server(answer: bytes, wait_s: float = 0.0) -> AsyncIterator[Server]:
    """A server that answers every post so, after a while; without an answer it hangs up."""
    it, serving = Server(), set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        it.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length:")[2].split()[0])
                it.bodies.append((await reader.readexactly(length)).decode())
                await asyncio.sleep(wait_s)
                if not answer:
                    break
                writer.write(answer)
        writer.close()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.ensure_future(serve(reader, writer)))

    listening = await asyncio.start_server(begin, HOST, 0)
    it.port = listening.sockets[0].getsockname()[1]
    try:
        yield it
    finally:
        listening.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def said(body: bytes, status: int = 200, more: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\n{more}content-length: {len(body)}\r\n\r\n".encode() + body


def numbered(number: int) -> Request:
    return Request(f'{{"n": {number}}}'.encode())


async def test_an_open_loop_sends_when_planned_although_nothing_has_been_answered() -> None:
    moments = [0.02 * number for number in range(10)]
    async with server(said(b"{}"), wait_s=1.0) as there:
        asking = asyncio.ensure_future(
            open_loop(HOST, there.port, numbered, moments, connections=2)
        )
        while len(there.bodies) < len(moments):
            assert not asking.done(), "an answer came before all was sent"
            await asyncio.sleep(0.01)
        calls = await asking
    assert there.bodies == [f'{{"n": {number}}}' for number in range(10)]
    assert calls.said() == {OK: 10}


async def test_who_comes_while_all_stands_still_has_waited_since_then() -> None:
    def stalls(number: int) -> Request:
        if number == 0:
            time.sleep(0.2)
        return numbered(number)

    async with server(said(b"{}")) as there:
        calls = await open_loop(HOST, there.port, stalls, [0.0, 0.01, 0.02])
    assert calls.said() == {OK: 3}
    late = sorted(call.sent - call.due for call in calls.calls)
    assert late[1] > 0.17
    assert all(call.waited_s > call.sent - call.due for call in calls.calls)
    assert min(calls.waited_s()) > 0.17
    assert calls.generator_late_ms() > 170


async def test_what_has_no_answer_in_the_end_is_counted() -> None:
    async with server(said(b"{}"), wait_s=30) as there:
        calls = await open_loop(HOST, there.port, numbered, [0.0, 0.01], patience_s=0.1)
    assert calls.said() == {NO_ANSWER: 2}
    async with server(b"") as there:
        calls = await open_loop(HOST, there.port, numbered, [0.0, 0.01])
    assert calls.said() == {NO_ANSWER: 2}


async def test_an_open_loop_beyond_its_connections_opens_more_and_keeps_them() -> None:
    moments = [0.0] * 5 + [0.3] * 5
    async with server(said(b"{}"), wait_s=0.05) as there:
        calls = await open_loop(HOST, there.port, numbered, moments, connections=1)
    assert calls.said() == {OK: 10}
    assert there.connections == 5


async def test_a_closed_loop_asks_again_when_it_has_its_answer() -> None:
    async with server(said(b"{}"), wait_s=0.02) as there:
        calls = await closed_loop(HOST, there.port, numbered, callers=3, seconds=0.2)
    assert len(there.bodies) == len(calls.calls) == calls.said()[OK]
    assert there.bodies == [f'{{"n": {number}}}' for number in range(len(there.bodies))]
    assert min(calls.waited_s()) >= 0.02
    assert round(calls.per_s * calls.seconds) == len(there.bodies)


async def test_an_answer_in_chunks_is_read_to_its_end() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    )
    read: list[bytes] = []

    def judge(reply: Reply) -> str:
        read.append(reply.body)
        return OK

    async with server(answer) as there:
        calls = await open_loop(HOST, there.port, numbered, [0.0, 0.0], judge=judge)
    assert read == [b"onetwo", b"onetwo"]
    assert calls.not_ok == 0


async def test_what_the_judge_calls_wrong_is_in_no_figure_but_its_own() -> None:
    async with server(said(b"no", 429, "retry-after: 1\r\n")) as there:
        calls = await open_loop(HOST, there.port, numbered, [0.0, 0.0])
    assert calls.said() == {"status 429": 2}
    assert calls.per_s == 0
    assert calls.not_ok == 2


def test_answers_in_time_are_counted_from_when_they_were_due() -> None:
    calls = Calls(1.0, [Call(0.0, 0.2, 0.3, OK), Call(0.0, 0.0, 0.05, OK), Call(0, 0, 0, "status")])
    assert calls.within(0.1) == 1
    assert calls.within(0.3) == 2
    assert calls.percentile_ms(0.5) == 50.0


def test_a_turn_without_a_right_answer_says_what_came_instead() -> None:
    calls = Calls(1.0, [Call(0, 0, 1, "status 429"), Call(0, 0, 1, "status 429")])
    with pytest.raises(ConfigurationError, match="gateway gave no right answer: 2 × status 429"):
        turn_of("gateway", lambda: calls)
    with pytest.raises(ConfigurationError, match="none was asked"):
        turn_of("gateway", lambda: Calls(1.0))


def test_a_server_that_has_gone_is_said_by_its_name() -> None:
    with socket.socket() as nobody:
        nobody.bind((HOST, 0))
        side = closed_side("gateway", nobody.getsockname()[1], numbered, callers=1, seconds=1)
        with pytest.raises(ConfigurationError, match="gateway cannot be reached"):
            side.turn()


async def test_a_turn_shows_the_cpu_of_the_process_and_of_the_generator() -> None:
    def loop() -> Calls:
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
        return Calls(0.1, [Call(0, 0, 0.02, OK)])

    figures = turn_of("gateway", loop, os.getpid())
    assert figures["answers/s"] == 10
    assert figures["CPU ms an answer"] >= 49
    assert figures["generator"] >= 0.49
