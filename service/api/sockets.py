"""Bounds on what a connection may send and hold, before there is a request to refuse.

uvicorn reads heads of any length for any time, and keeps every connection that says nothing. Here a
head has `HEAD_BYTES` and `head_timeout_s`, and beyond `max_connections` the one that has been idle
for longest makes room.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

import orjson
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from service.api.request_ids import new_request_id

HEAD_BYTES = 64 * 1024
"""Of a request's line and headers together."""
_SPARE_FILES = 128
"""Open files that are not connections of callers: Redis, engines, indexes, logs."""


def raise_file_limit() -> int:
    """Let this process open as many files as it may; how many these are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft if soft != resource.RLIM_INFINITY else 1 << 20


def connections_of(files: int) -> int:
    """How many connections fit beside what else needs files."""
    return max(16, files - max(_SPARE_FILES, files // 4))


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with bounded heads and a bounded number of connections.

    `bounded(…)` makes the class that uvicorn is given, with its bounds.
    """

    head_timeout_s = 10.0
    max_connections = 1_000

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._idle = _idle_of(server_state)
        self._head_bytes = 0
        self._in_head = True
        self._refusal: tuple[int, str] | None = None
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection is there: it has so long to say what it wants."""
        super().connection_made(transport)
        self._idle[self] = None
        self._await_head()
        if len(self.connections) > self.max_connections:
            oldest = next((known for known in self._idle if known is not self), self)
            oldest._leave()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        self._idle.pop(self, None)
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come; while they are of a head they are counted."""
        self._idle.pop(self, None)
        if not self._in_head and self.cycle is not None and self.cycle.response_complete:
            self._await_head()
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and b"\r\n\r\n" not in data[:HEAD_BYTES]:
                self._refusal = 431, f"A request's head may hold {HEAD_BYTES} bytes"
                self.send_400_response("")
                return
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        self._stop_timer()
        # Its time begins here: the task that serves it may have to wait for others' turns.
        self.scope["state"]["started"] = self.loop.time()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """The answer has left: until the next request this connection is idle."""
        super().on_response_complete()
        if self.transport is not None and not self.transport.is_closing() and not self.pipeline:
            self._idle[self] = None

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, as a problem, and close."""
        from service.api.problems import MEDIA_TYPE, problem_body

        status, detail = self._refusal or (400, "This is no HTTP/1.1 request")
        body = orjson.dumps(problem_body(status, detail))
        self.transport.write(
            STATUS_LINE[status] + b"content-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n"
            b"connection: close\r\n\r\n%b"
            % (MEDIA_TYPE.encode(), len(body), new_request_id().encode(), body)
        )
        self._leave()

    def _await_head(self) -> None:
        self._head_bytes, self._in_head = 0, True
        self._stop_timer()
        self._head_timer = self.loop.call_later(self.head_timeout_s, self._leave)

    def _leave(self) -> None:
        self._stop_timer()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def bounded(head_timeout_s: float, max_connections: int) -> type[BoundedProtocol]:
    """The protocol with these bounds, for `uvicorn.Config(http=…)`."""
    return type(
        "BoundedProtocol",
        (BoundedProtocol,),
        {"head_timeout_s": head_timeout_s, "max_connections": max_connections},
    )


def _idle_of(state: ServerState) -> dict[BoundedProtocol, None]:
    """The idle connections of a server, the longest idle first: kept with its other state."""
    idle: dict[BoundedProtocol, None] = state.__dict__.setdefault("idle_connections", {})
    return idle
