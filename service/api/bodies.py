"""Bodies as they arrive: JSON, whatever the header calls it."""

from __future__ import annotations

import email.message
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

JSON = "application/json"


class JsonBodyRoute(APIRoute):
    """A route whose body is read as JSON, also where the header is missing or names another type.

    Many clients set the type of a form unless told otherwise. What is not JSON is a problem that
    says which type is wanted, see `service/api/problems.py`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, behind the reading of the body."""
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            if names_json(request):
                return await handle(request)
            return await handle(Request(_called_json(request.scope), request.receive))

        return handle_json


def names_json(request: Request) -> bool:
    """Whether the request's header says that its body is JSON."""
    message = email.message.Message()
    message["content-type"] = request.headers.get("content-type", "")
    if message.get_content_maintype() != "application":
        return False
    subtype = message.get_content_subtype()
    return subtype == "json" or subtype.endswith("+json")


def _called_json(scope: Any) -> dict[str, Any]:
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    return {**scope, "headers": [*headers, (b"content-type", JSON.encode())]}
