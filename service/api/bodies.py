"""Bodies as they arrive: JSON, whatever the header calls it, as it is or in gzip."""

from __future__ import annotations

import email.message
import zlib
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Message, Receive, Scope

from service.api.serving import ServedRoute
from service.errors import InvalidInput

JSON = "application/json"
_GZIP_ONLY = 16 + zlib.MAX_WBITS


class JsonBodyRoute(ServedRoute):
    """A route whose body is read as JSON, also where the header is missing or names another type.

    Many clients set the type of a form unless told otherwise. What is not JSON is a problem that
    says which type is wanted, see `service/api/problems.py`. A body in gzip is unpacked up to the
    bound of a body, `app.state.max_body_bytes`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, behind the reading of the body."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_json(request: Request) -> Response:
            encoding = request.headers.get("content-encoding", "identity").strip().lower()
            if encoding == "identity" and names_json(request):
                return await handle(request)
            receive = request.receive
            if encoding in ("gzip", "x-gzip"):
                unpacked = unpack(await request.body(), request.app.state.max_body_bytes)
                receive = handed_over(unpacked, receive)
            elif encoding != "identity":
                raise HTTPException(415, "Send the body as it is, or with Content-Encoding: gzip")
            return await handle(Request(_called_json(request.scope), receive))

        return handle_json


def unpack(packed: bytes, limit: int) -> bytes:
    """The bytes of a gzip stream, of which no more than `limit` + 1 are ever made.

    Raises `HTTPException` (413) for a stream that holds more than `limit`, and `InvalidInput` for
    bytes that are not one whole stream. Several streams in a row are not accepted: each costs the
    set-up of a decompressor, and a body has room for tens of thousands.
    """
    stream = zlib.decompressobj(_GZIP_ONLY)
    try:
        body = stream.decompress(packed, limit + 1)
    except zlib.error as error:
        raise InvalidInput("is not valid gzip", field="body") from error
    if len(body) > limit:
        raise HTTPException(413, f"The body may hold {limit} bytes when it is unpacked")
    if not stream.eof or stream.unused_data:
        raise InvalidInput("is not one whole gzip stream", field="body")
    return body


def names_json(request: Request) -> bool:
    """Whether the request's header says that its body is JSON."""
    given = request.headers.get("content-type", "")
    if given == JSON:
        return True
    message = email.message.Message()
    message["content-type"] = given
    if message.get_content_maintype() != "application":
        return False
    subtype = message.get_content_subtype()
    return subtype == "json" or subtype.endswith("+json")


def handed_over(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands over the whole body, and then whatever else comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_unpacked() -> Message:
        return messages.pop() if messages else await receive()

    return receive_unpacked


def _called_json(scope: Scope) -> dict[str, Any]:
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    return {**scope, "headers": [*headers, (b"content-type", JSON.encode())]}
