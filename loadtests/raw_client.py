"""A caller that costs next to nothing: JSON posts over one kept connection, and when they came.

A load test that shares its cores with what it measures must not measure itself. A general HTTP
client spends about as long on a call as a gateway does on refusing one, so that its own loop, not
the gateway, would make answers look late. Here a call is one write and one search in the bytes that
come back. HTTP/1.1 with `Content-Length`, which the gateway sends, or in chunks, as streams are.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_RETRY = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `seconds`: from the write of the call to the last byte of the answer.

    `ended` is the moment of that byte, by `time.perf_counter`. `retry_after_s` is None where the
    answer does not say it.
    """

    status: int
    body: bytes
    seconds: float
    retry_after_s: float | None
    ended: float


Done = Callable[[Reply | None], None]
"""Told what came back; None where the connection ended first."""


class Caller(asyncio.Protocol):
    """One connection, one call at a time. Make it with `connect`."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._came = bytearray()
        self._whole: int | None = None
        self._chunked = False
        self._head = 0
        self._began = 0.0
        self._done: Done | None = None

    @classmethod
    async def connect(cls, host: str, port: int) -> Caller:
        """A caller whose connection is made. Raises `OSError` where nobody listens."""
        loop = asyncio.get_running_loop()
        _, caller = await loop.create_connection(cls, host, port)
        return caller

    @property
    def open(self) -> bool:
        """Whether it can send another call."""
        return self._transport is not None and not self._transport.is_closing()

    async def post(self, path: str, body: bytes, headers: str = "") -> Reply:
        """Send a JSON body. Raises `ConnectionError` where the connection ends first."""
        waiting: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()

        def done(reply: Reply | None) -> None:
            if not waiting.done():
                waiting.set_result(reply)

        self.send(path, body, done, headers)
        reply = await waiting
        if reply is None:
            raise ConnectionError("the gateway closed the connection")
        return reply

    def send(self, path: str, body: bytes, done: Done, headers: str = "") -> None:
        """Send a JSON body and return; `done` is called once. Raises `ConnectionError` if closed.

        `headers` are further ones, each ended by a line break (`"x-api-key: …\\r\\n"`).
        """
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the connection has ended")
        self._came.clear()
        self._whole, self._chunked = None, False
        self._done = done
        head = (
            f"POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
            f"{headers}content-length: {len(body)}\r\n\r\n"
        )
        self._began = time.perf_counter()
        self._transport.write(head.encode() + body)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's call: it is there."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """asyncio's call: a piece of the answer. The last one's time is the answer's."""
        now = time.perf_counter()
        self._came += data
        if not self._head_came():
            return
        if self._chunked:
            whole = self._came.endswith(_LAST_CHUNK)
        else:
            whole = self._whole is not None and len(self._came) >= self._whole
        done = self._done
        if whole and done is not None:
            self._done = None
            done(self._reply(now))

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's call: whoever waits is told."""
        self._transport = None
        done, self._done = self._done, None
        if done is not None:
            done(None)

    def _head_came(self) -> bool:
        """Whether the head is whole; then where the answer ends is known."""
        if self._whole is None:
            end = self._came.find(b"\r\n\r\n")
            if end < 0:
                return False
            length = _LENGTH.search(self._came, 0, end + 2)
            self._chunked = length is None and bool(_CHUNKED.search(self._came, 0, end + 2))
            self._head = end
            self._whole = end + 4 + (int(length[1]) if length else 0)
        return True

    def _reply(self, now: float) -> Reply:
        head, content = bytes(self._came[: self._head + 2]), bytes(self._came[self._head + 4 :])
        retry = _RETRY.search(head)
        return Reply(
            status=int(head[9:12]),
            body=_unchunked(content) if self._chunked else content,
            seconds=now - self._began,
            retry_after_s=float(retry[1]) if retry else None,
            ended=now,
        )


def _unchunked(content: bytes) -> bytes:
    """The body of an answer that came in chunks."""
    parts, at = list[bytes](), 0
    while True:
        line = content.index(b"\r\n", at)
        size = int(content[at:line].partition(b";")[0], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(content[line + 2 : line + 2 + size])
        at = line + 2 + size + 2
