"""The gateway's first moments: alive at once, and all the rest as soon as it has been built.

A gateway that is still importing its libraries is a healthy one, and says so. Every other request
waits for what is being built, `/readyz` included: nobody but the parts knows whether it is ready.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from service.api.request_ids import HEADER, request_id_of

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import Receive, Scope, Send

ALIVE = b'{"status":"ok"}'
_JSON = (b"content-type", b"application/json")


class Starting:
    """An ASGI application in front of the one that `build` makes, in a thread.

    The server's lifespan events are not for it: the application is open for the block `opened()`.
    """

    def __init__(self, build: Callable[[], FastAPI]) -> None:
        self._build = build
        self.app: FastAPI | None = None
        """The application, once it is open."""
        self.settled = asyncio.Event()
        """Set when it is open, and when it has turned out that it cannot be."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Build the application and open it for the block. Raises what either raises."""
        try:
            app = await asyncio.to_thread(self._build)
            async with app.router.lifespan_context(app):
                self.app = app
                yield
        finally:
            self.settled.set()

    def take_requests(self) -> None:
        """Let the requests through that have been waiting."""
        self.settled.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if not self.settled.is_set():
            if scope["path"] == "/healthz" and scope["method"] in ("GET", "HEAD"):
                await _answer(scope, send, 200, ALIVE)
                return
            await self.settled.wait()
        if self.app is None:  # it could not be opened: this process is about to end
            await _answer(scope, send, 503, b"")
        else:
            await self.app(scope, receive, send)


async def _answer(scope: Scope, send: Send, status: int, body: bytes) -> None:
    """Answer as routes and gate do: with the request's id."""
    named = (HEADER, request_id_of(scope["headers"]).encode())
    length = (b"content-length", str(len(body)).encode())
    start = {"type": "http.response.start", "status": status, "headers": [_JSON, length, named]}
    await send(start)
    await send({"type": "http.response.body", "body": body})
