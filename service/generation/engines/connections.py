"""HTTP/1.1 to one server, as much of it as streamed calls need: no task is woken for a chunk.

What streams in is parsed where it arrives, by llhttp (httptools), and handed to whoever asked. A
server that streams faster than we need it is read in gulps: the socket rests for a few
milliseconds while the kernel gathers what comes, since reading is most of what a call costs.
Nothing is retried, redirected, decompressed or sent through a proxy.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import cast
from urllib.parse import SplitResult

import aiohappyeyeballs
import httptools

GULP_S = 0.005
"""Seconds for which what streams in faster is gathered. Half of it is what a call's end is late by
on average."""
_MOST_HEAD_BYTES = 64 * 1024
_NEXT_ADDRESS_S = 0.25
"""Seconds after which another address of the server is tried beside one that does not answer
(RFC 8305, section 5)."""
_PORTS = {"http": 80, "https": 443}


class Broken(ConnectionError):
    """The connection ended before the answer did, or what came is no HTTP."""


class Answer:
    """One answer while it comes. `begun` is done when its head is there, `ended` when all is.

    `take` is given the body as it arrives; an error that it raises ends the exchange with it.
    """

    def __init__(self, take: Callable[[Answer, bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[int] = loop.create_future()
        """The status."""
        self.ended: asyncio.Future[None] = loop.create_future()
        self.headers: dict[bytes, bytes] = {}
        """By name in lower case; of a name that comes twice the last."""
        self.status = 0
        self.may_be_followed = False
        """Whether the connection may serve another request."""
        self._take = take
        self._pieces: list[bytes] = []
        self._head_bytes = 0
        self._whole = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take what has arrived. Raises `Broken` for what is no HTTP, and what `take` raises."""
        if not self.status:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise Broken("what it answers is no HTTP") from error
        if not self.status and self._head_bytes > _MOST_HEAD_BYTES:
            raise Broken("its answer's head has no end")
        if self.status and not self.begun.done():
            self.begun.set_result(self.status)
        if self._pieces:
            body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            self._take(self, body)
        if self._whole:
            self.finish()

    @property
    def over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.ended.done() or (self.begun.done() and not self.status)

    def finish(self) -> None:
        """Nothing more is wanted of it."""
        if not self.ended.done():
            self.ended.set_result(None)

    def fail(self, error: Exception) -> None:
        """It will not come to its end. Whoever waits is told once, at the future they wait for."""
        self.may_be_followed = False
        waited_for = self.ended if self.begun.done() else self.begun
        if not waited_for.done():
            waited_for.set_exception(error)

    def closed(self, error: Exception | None) -> None:
        """The connection is gone: some answers end so (RFC 9112, section 6.3)."""
        delimited = b"content-length" in self.headers or b"transfer-encoding" in self.headers
        if self.status and not delimited and error is None:
            self.finish()
        else:
            told = "in the midst of its answer" if self.status else "without an answer"
            self.fail(error if isinstance(error, OSError) else Broken(f"closed {told}"))

    def forget(self) -> None:
        """Nobody waits any more: an error that nobody sees must not be reported as lost."""
        for future in (self.begun, self.ended):
            if future.done() and not future.cancelled():
                future.exception()

    # -- what httptools calls

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the head."""
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """The head is whole. One of a status below 200 is a notice before the answer's own."""
        status = self._parser.get_status_code()
        if status >= 200:
            self.status = status
        else:
            self.headers.clear()

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        """The body is whole."""
        self._whole = self.status > 0
        self.may_be_followed = self._whole and self._parser.should_keep_alive()


class _Connection(asyncio.Protocol):
    """One connection, which serves one request after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._quiet_since = 0.0
        self._idle_since = 0.0

    @property
    def open(self) -> bool:
        """Whether a request may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def serves_since(self, moment: float) -> bool:
        """Whether it is open and was used after a moment of the loop's clock."""
        return self.open and self._idle_since > moment

    def send(self, request: bytes, answer: Answer) -> None:
        """Send a request. The connection must be open and serve no other."""
        if self._transport is None or not self.open:
            raise Broken("closed without an answer")
        self._answer = answer
        self._quiet_since = self._loop.time()
        self._transport.write(request)

    def release(self) -> None:
        """The answer is done with: another may be asked for."""
        self._answer = None
        self._idle_since = self._loop.time()

    def close(self) -> None:
        """Close it at once, whatever is under way."""
        self._answer = None
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        if self._transport is not None:
            self._transport.abort()

    # -- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        # Not asked by `isinstance`: uvloop's are none of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Data has come."""
        answer = self._answer
        if answer is None:  # nobody has asked
            self.close()
            return
        streams = answer.status > 0
        try:
            answer.feed(data)
        except Exception as error:
            answer.fail(error)
        transport = self._transport
        if answer.over or transport is None or transport.is_closing():
            return
        now = self._loop.time()
        if streams and now - self._quiet_since < GULP_S and self._rest is None:
            transport.pause_reading()
            self._rest = self._loop.call_later(GULP_S, self._read_on)
        self._quiet_since = now

    def _read_on(self) -> None:
        self._rest = None
        self._quiet_since = self._loop.time()
        if self._transport is not None and self.open:
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed."""
        self._transport = None
        if self._answer is not None:
            self._answer.closed(exc)


class Connections:
    """The connections to one server; those that are idle are kept for `keep_s` seconds."""

    def __init__(
        self, url: SplitResult, tls: ssl.SSLContext | None, connect_s: float, keep_s: float
    ) -> None:
        """`url` names the server; `tls` is given for `https`; `connect_s` is the most seconds that
        connecting may take."""
        assert url.hostname is not None
        self._host = url.hostname
        self._port = url.port or _PORTS[url.scheme]
        self._tls = tls
        self._connect_s = connect_s
        self._keep_s = keep_s
        self._idle: deque[_Connection] = deque()
        self._used: set[_Connection] = set()

    async def ask(self, request: bytes, answer: Answer) -> _Connection:
        """Send a request. Raises `OSError` where there is no connection, `TimeoutError` among them.

        The connection has to go back by `give_back`, whatever comes of the answer.
        """
        connection = self._kept() or await self._connect()
        connection.send(request, answer)
        self._used.add(connection)
        return connection

    def give_back(self, connection: _Connection, answer: Answer) -> None:
        """Keep the connection where its answer has come to its end; else close it."""
        self._used.discard(connection)
        answer.forget()
        if answer.may_be_followed and connection.open:
            connection.release()
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close them all."""
        for connection in (*self._idle, *self._used):
            connection.close()
        self._idle.clear()

    def _kept(self) -> _Connection | None:
        """The connection that was used last, where it is young enough; older ones are closed."""
        young = asyncio.get_running_loop().time() - self._keep_s
        while self._idle and not self._idle[0].serves_since(young):
            self._idle.popleft().close()
        while self._idle:
            connection = self._idle.pop()
            if connection.serves_since(young):
                return connection
        return None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._connect_s):
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            sock = await aiohappyeyeballs.start_connection(
                found, happy_eyeballs_delay=_NEXT_ADDRESS_S, interleave=1, loop=loop
            )
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            name = self._host if self._tls else None
            _, connection = await loop.create_connection(
                _Connection, sock=sock, ssl=self._tls, server_hostname=name
            )
            return connection
