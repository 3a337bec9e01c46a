"""A caller that costs next to nothing: JSON posts over one kept connection, and when they came.

A load test that shares its cores with what it measures must not measure itself. A general HTTP
client spends about as long on a call as a gateway does on refusing one, so that its own loop, not
the gateway, would make answers look late. Here a call is one write and one search in the bytes that
come back. HTTP/1.1 with `Content-Length` alone: what the gateway sends.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RETRY = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `seconds`: from the write of the call to the last byte of the answer.

    `retry_after_s` is None where the answer does not say it.
    """

    status: int
    body: bytes
    seconds: float
    retry_after_s: float | None


class Caller(asyncio.Protocol):
    """One connection, one call at a time. Make it with `connect`."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._came = bytearray()
        self._whole: int | None = None
        self._reply: asyncio.Future[float] | None = None

    @classmethod
    async def connect(cls, host: str, port: int) -> Caller:
        """A caller whose connection is made. Raises `OSError` where nobody listens."""
        loop = asyncio.get_running_loop()
        _, caller = await loop.create_connection(cls, host, port)
        return caller

    async def post(self, path: str, body: bytes) -> Reply:
        """Send a JSON body. Raises `ConnectionError` where the connection ends first."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the connection has ended")
        self._came.clear()
        self._whole = None
        self._reply = asyncio.get_running_loop().create_future()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        began = time.perf_counter()
        self._transport.write(head.encode() + body)
        ended = await self._reply
        head_bytes, _, content = bytes(self._came).partition(b"\r\n\r\n")
        retry = _RETRY.search(head_bytes)
        return Reply(
            status=int(head_bytes[9:12]),
            body=content,
            seconds=ended - began,
            retry_after_s=float(retry[1]) if retry else None,
        )

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
        if self._whole is None and (end := self._came.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._came, 0, end + 2)
            self._whole = end + 4 + (int(length[1]) if length else 0)
        waiting = self._reply
        if self._whole is None or len(self._came) < self._whole:
            return
        if waiting is not None and not waiting.done():
            waiting.set_result(now)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's call: whoever waits is told."""
        self._transport = None
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(ConnectionError("the gateway closed the connection"))
