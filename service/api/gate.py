"""The pure-ASGI layer before the routes: key, size, a permit, the body, and the client's leaving.

A request that cannot be served is refused here, before its body is read and before the framework
spends anything on it. What passes is run in a task that is cancelled when its client has gone:
FastAPI does not do that by itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.keys import KeyRing, challenge, key_in
from service.api.ports import Ports
from service.api.problems import MEDIA_TYPE, problem_body
from service.api.request_ids import naming_send, request_id_of
from service.api.rights import needs_a_key, right_of, route_label
from service.errors import Overloaded
from service.limits import Admission
from service.pace import Pace
from service.telemetry import Metrics, exemplar_of
from service.tracing import NO_SPAN, Span

access = logging.getLogger("interests.access")
_ONE_PORT = Ports()
_PATIENCE_S = 0.02
"""Before it is looked whether the client is still there: that costs as much as a refusal does."""


class _Refused(Exception):
    """An answer that is ready before the routes have seen the request."""

    def __init__(self, status: int, detail: str, headers: tuple[tuple[bytes, bytes], ...] = ()):
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


class _ClientGone(Exception):
    """The client closed the connection before it had sent everything."""


class Gate:
    """Wraps the application. `scope["state"]` gets `started` (loop time) and `caller`.

    It gets `request_id` too, for every request; an answer carries what is there when it starts.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: KeyRing,
        admission: Admission,
        pace: Pace,
        metrics: Metrics,
        max_body_bytes: int,
        body_timeout_s: float,
        access_log: bool = False,
        open_metrics: bool = False,
        ports: Ports = _ONE_PORT,
    ) -> None:
        self._app = app
        self._keys = keys
        self._admission = admission
        self._pace = pace
        self._metrics = metrics
        self._max_body = max_body_bytes
        self._body_timeout = body_timeout_s
        self._access_log = access_log
        self._open_metrics = open_metrics
        self._ports = ports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id_of(scope["headers"])
        send = naming_send(send, state)
        route = route_label(scope["path"])
        state["span"] = NO_SPAN
        spans = ExitStack()
        status = 499  # the client left before an answer, in nginx's notation

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._serve(scope, state, receive, watched_send, spans)
        except _Refused as refusal:
            await _send_problem(watched_send, refusal)
        except _ClientGone:
            pass
        except Exception:
            status = 500  # it is answered outside of the gate
            raise
        finally:
            seconds = time.perf_counter() - started
            metrics = self._metrics
            metrics.series(metrics.requests, route, status).inc()
            span: Span = state["span"]
            metrics.series(metrics.latency, route).observe(seconds, exemplar_of(span.trace_id))
            if self._access_log:
                _log_access(scope["method"], route, status, seconds, state)
            span.note(status_code=status)
            spans.close()

    async def _serve(
        self,
        scope: Scope,
        state: dict[str, Any],
        receive: Receive,
        send: Send,
        spans: ExitStack,
    ) -> None:
        if missing := self._ports.missing(scope):
            raise _Refused(404, missing)
        right = right_of(scope["method"], scope["path"])
        headers = dict(scope["headers"])
        if right is None or (right == "metrics" and self._open_metrics):
            if needs_a_key(scope["path"]):
                self._authenticate(headers, None, state)
            await self._app(scope, receive, send)
            return
        state.setdefault("started", asyncio.get_running_loop().time())
        self._authenticate(headers, right, state)
        if right == "metrics":  # they are asked for most when there is no room
            await self._app(scope, receive, send)
            return
        state["span"] = spans.enter_context(
            self._metrics.tracing.request(
                scope["method"],
                route_label(scope["path"]),
                headers.get(b"traceparent"),
                trusted=not self._keys.is_open,
            )
        )
        self._check_length(headers)
        try:
            self._admission.require_room()
            if right == "interests":
                self._pace.refuse_hopeless()
            # A place is taken once the body is there: slow senders hold none.
            body = await self._read_body(receive)
            with self._place(right, state), self._metrics.in_flight.track_inprogress():
                await self._run(scope, body, receive, send)
        except Overloaded as error:
            retry = str(max(1, round(error.retry_after_s))).encode()
            raise _Refused(429, str(error), ((b"retry-after", retry),)) from None

    def _authenticate(
        self, headers: dict[bytes, bytes], right: str | None, state: dict[str, Any]
    ) -> None:
        """Find the caller. `right`: what it must have; None: any key will do."""
        caller = self._keys.find(key_in(headers))
        if caller is None:
            detail = "Send a known key, as X-API-Key or as Authorization: Bearer"
            raise _Refused(401, detail, (challenge(headers, "invalid_token"),))
        if right is not None and right not in caller.rights:
            detail = f"This key lacks the right {right!r}"
            raise _Refused(403, detail, (challenge(headers, "insufficient_scope"),))
        state["caller"] = caller

    def _check_length(self, headers: dict[bytes, bytes]) -> None:
        length = headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length) > self._max_body:
            raise _Refused(413, f"The body may hold {self._max_body} bytes")

    async def _read_body(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._body_timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _ClientGone
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > self._max_body:
                        raise _Refused(413, f"The body may hold {self._max_body} bytes")
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        except TimeoutError:
            raise _Refused(
                408, f"The body did not arrive within {self._body_timeout:g} s"
            ) from None

    @contextmanager
    def _place(self, right: str, state: dict[str, Any]) -> Iterator[None]:
        """Hold a permit; who asks for candidates is counted by the pace too: `state["arrival"]`."""
        with self._admission.permit():
            if right != "interests":
                yield
                return
            with self._pace.arrival() as arrival:
                state["arrival"] = arrival
                yield

    async def _run(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Run the routes over a body already read; cancel them when the client has gone."""
        delivered = False

        async def replay() -> Message:
            nonlocal delivered
            if not delivered:
                delivered = True
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        with _cancelled_when_gone(receive):
            await self._app(scope, replay, send)


@contextmanager
def _cancelled_when_gone(receive: Receive) -> Iterator[None]:
    """Cancel what is done in the block once the client has gone; the block then ends quietly.

    Nobody looks for the client in the first moments: most requests are answered by then.
    """
    loop = asyncio.get_running_loop()
    working = asyncio.current_task()
    watches: list[asyncio.Task[None]] = []
    left = False

    def leave(watch: asyncio.Task[None]) -> None:
        nonlocal left
        if not watch.cancelled() and working is not None:
            left = True
            working.cancel()

    def look() -> None:
        watch = loop.create_task(_disconnected(receive))
        watch.add_done_callback(leave)
        watches.append(watch)

    soon = loop.call_later(_PATIENCE_S, look)
    try:
        yield
    except asyncio.CancelledError:
        if not left or working is None or working.uncancel():
            raise  # it is this process that ends it
    finally:
        soon.cancel()
        for watch in watches:
            watch.remove_done_callback(leave)
            watch.cancel()


def _log_access(
    method: str, route: str, status: int, seconds: float, state: dict[str, Any]
) -> None:
    """A line for one request. It names the route, not the path, which may hold a user's id."""
    fields = {
        "request_id": state["request_id"],
        "method": method,
        "route": route,
        "status": status,
        "ms": round(seconds * 1000, 1),
    }
    if "caller" in state:
        fields["key"] = state["caller"].name
    access.info("%s %s %d", method, route, status, extra={"fields": fields})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_problem(send: Send, refusal: _Refused) -> None:
    body = orjson.dumps(problem_body(refusal.status, refusal.detail))
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        *refusal.headers,
    ]
    if refusal.status in (408, 413):
        # The rest of the body is still on its way: this connection cannot serve another request.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
