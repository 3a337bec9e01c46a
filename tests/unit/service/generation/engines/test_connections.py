"""HTTP to an engine, against servers of which each byte is said by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from service.generation.engines import connections as module
from service.generation.engines.connections import Answer, Broken, Connections

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
REQUEST = b"GET / HTTP/1.1\r\nHost: engine\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def chunked(parts: list[bytes]) -> bytes:
    """The parts as chunks of a body."""
    lines = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + lines + b"0\r\n\r\n"


class Server:
    """Answers each request on each connection with `answers`, one after the other."""

    def __init__(self, answers: list[bytes], *, then_close: bool = False) -> None:
        self.connections = 0
        self.closed = 0
        self.port = 0
        self._answers = iter(answers)
        self._then_close = then_close

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(next(self._answers))
                await writer.drain()
                if self._then_close:
                    break
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        self.closed += 1
        writer.close()


@asynccontextmanager
async def engine(*answers: bytes, then_close: bool = False) -> AsyncIterator[Server]:
    server = Server(list(answers), then_close=then_close)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


@asynccontextmanager
async def client(server: Server, *, keep_s: float = 3.0) -> AsyncIterator[Connections]:
    it = Connections(urlsplit(f"http://127.0.0.1:{server.port}"), None, 2.0, keep_s)
    try:
        yield it
    finally:
        it.close()


async def ask(it: Connections) -> bytes:
    """One exchange, as an engine's client makes it."""
    taken: list[bytes] = []
    answer = Answer(lambda _, data: taken.append(data))
    connection = await it.ask(REQUEST, answer)
    try:
        assert await answer.begun == 200
        await answer.ended
    finally:
        it.give_back(connection, answer)
    return b"".join(taken)


@given(
    parts=st.lists(st.binary(max_size=30), max_size=6),
    cuts=st.lists(st.integers(1, 400), max_size=10),
    notice=st.booleans(),
)
def test_a_body_is_the_same_however_its_bytes_arrive(
    parts: list[bytes], cuts: list[int], notice: bool
) -> None:
    wire = (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" if notice else b"") + chunked(parts)
    taken: list[bytes] = []

    async def read() -> Answer:
        answer, at = Answer(lambda _, data: taken.append(data)), 0
        for cut in [*sorted({cut for cut in cuts if cut < len(wire)}), len(wire)]:
            answer.feed(wire[at:cut])
            at = cut
        return answer

    answer = asyncio.run(read())
    assert b"".join(taken) == b"".join(parts)
    assert answer.begun.result() == 200
    assert answer.ended.done()
    assert answer.may_be_followed
    assert b"link" not in answer.headers


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_connection_serves_one_request_after_the_other(run: Callable[..., None]) -> None:
    async def twice() -> None:
        async with engine(WHOLE, chunked([b"a", b"b"])) as server, client(server) as it:
            assert [await ask(it), await ask(it)] == [b"ok", b"ab"]
            assert server.connections == 1

    run(twice())


async def test_two_requests_at_once_have_a_connection_each() -> None:
    async with engine(WHOLE, WHOLE, WHOLE) as server, client(server) as it:
        assert list(await asyncio.gather(ask(it), ask(it))) == [b"ok", b"ok"]
        assert server.connections == 2


async def test_a_connection_that_is_to_be_closed_or_too_old_is_not_used_again() -> None:
    last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    async with engine(last, WHOLE) as server, client(server) as it:
        assert [await ask(it), await ask(it)] == [b"ok", b"ok"]
        assert server.connections == 2
    async with engine(WHOLE, WHOLE) as server, client(server, keep_s=0.0) as it:
        assert [await ask(it), await ask(it)] == [b"ok", b"ok"]
        assert server.connections == 2


async def test_a_body_without_a_length_ends_with_its_connection() -> None:
    endless = b"HTTP/1.1 200 OK\r\n\r\nall of it"
    async with engine(endless, then_close=True) as server, client(server) as it:
        assert await ask(it) == b"all of it"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "closed in the midst of its answer"),
        (chunked([b"a"])[:-5], "closed in the midst of its answer"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "what it answers is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "its answer's head has no end"),
    ],
)
async def test_what_is_no_whole_answer_is_told_once_and_its_connection_closed(
    answer: bytes, told: str
) -> None:
    async with engine(answer, WHOLE, then_close=True) as server, client(server) as it:
        with pytest.raises(Broken, match=told):
            await ask(it)
        assert await ask(it) == b"ok"
        assert server.connections == 2


async def test_what_the_reader_does_not_take_ends_the_answer_with_its_error() -> None:
    def refuse(_: Answer, __: bytes) -> None:
        raise ValueError("too much")

    async with engine(WHOLE, WHOLE) as server, client(server) as it:
        answer = Answer(refuse)
        connection = await it.ask(REQUEST, answer)
        assert await answer.begun == 200
        with pytest.raises(ValueError, match="too much"):
            await answer.ended
        it.give_back(connection, answer)
        assert await ask(it) == b"ok"
        assert server.connections == 2


async def test_who_is_cancelled_closes_the_connection() -> None:
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"
    async with engine(begun) as server, client(server) as it:
        asking = asyncio.create_task(ask(it))
        async with asyncio.timeout(5):
            while not server.connections:
                await asyncio.sleep(0.005)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            while not server.closed:
                await asyncio.sleep(0.005)


class Socket(asyncio.Transport):
    """A transport that notes what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.did: list[str] = []

    def write(self, data: object) -> None:
        self.did.append("write")

    def pause_reading(self) -> None:
        self.did.append("pause")

    def resume_reading(self) -> None:
        self.did.append("resume")

    def is_closing(self) -> bool:
        return "abort" in self.did

    def abort(self) -> None:
        self.did.append("abort")


async def test_a_stream_is_gathered_where_it_is_fast_and_read_at_once_where_it_is_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    resting: list[Callable[[], None]] = []
    connection, transport = module._Connection(), Socket()
    monkeypatch.setattr(connection, "_loop", Clock(now, resting))
    connection.connection_made(transport)
    answer = Answer(lambda _, __: None)
    connection.send(REQUEST, answer)
    head, part = chunked([b"part"])[:-5], b"4\r\npart\r\n"
    connection.data_received(head)
    for _ in range(3):  # a token each 20 ms
        now[0] += 0.020
        connection.data_received(part)
    assert transport.did == ["write"]
    now[0] += 0.001
    connection.data_received(part)
    assert transport.did == ["write", "pause"]
    resting.pop()()
    connection.data_received(part * 5)
    assert transport.did == ["write", "pause", "resume", "pause"]
    resting.pop()()
    now[0] += 0.020
    connection.data_received(part)
    connection.data_received(b"0\r\n\r\n")
    assert transport.did == ["write", "pause", "resume", "pause", "resume"]
    assert answer.ended.done()


class Clock:
    """A loop whose time and timers are the test's."""

    def __init__(self, now: list[float], resting: list[Callable[[], None]]) -> None:
        self._now, self._resting = now, resting

    def time(self) -> float:
        return self._now[0]

    def call_later(self, delay: float, call: Callable[[], None]) -> None:
        assert delay == module.GULP_S
        self._resting.append(call)


async def test_a_server_that_speaks_unasked_loses_its_connection() -> None:
    connection, transport = module._Connection(), Socket()
    connection.connection_made(transport)
    connection.data_received(WHOLE)
    assert transport.did == ["abort"]
