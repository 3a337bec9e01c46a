"""The short way to the routes that take a JSON body: past the framework's router.

A router that can do anything takes longer to find the route, read the body and call the function
than a list that is used again takes to be answered. Here a path leads to a function and to the
model of its body. Whatever is out of the ordinary goes the framework's way, which says what is
wrong: a body that the model refuses, another media type, a body in gzip.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.bodies import JSON, JsonBodyRoute, handed_over
from service.errors import InterestsError

_JSON = JSON.encode()


@dataclass(frozen=True, slots=True)
class _Way:
    """What a path leads to."""

    validate: Callable[[object], object]
    answer: Callable[[Request, Any], Awaitable[Response]]


class Direct:
    """Serves `routes` where it can, and leaves all else to the application behind it."""

    def __init__(
        self,
        app: ASGIApp,
        routes: Iterable[BaseRoute],
        refused: Callable[[Request, InterestsError], Response],
    ) -> None:
        """`refused` makes the answer of an error that a route lets through."""
        self._app = app
        self._refused = refused
        self._ways = {
            route.path: _Way(_validator(route), route.endpoint)
            for route in routes
            if isinstance(route, JsonBodyRoute) and _takes_a_body_alone(route)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        way = self._ways.get(scope["path"]) if scope["type"] == "http" else None
        if way is None or scope["method"] != "POST" or not _is_plain_json(scope):
            await self._app(scope, receive, send)
            return
        content: bytes = (await receive()).get("body", b"")  # whole: the gate has read it
        try:
            body = way.validate(orjson.loads(content))
        except (orjson.JSONDecodeError, ValidationError):
            await self._app(scope, handed_over(content, receive), send)
            return
        request = Request(scope)
        try:
            response = await way.answer(request, body)
        except InterestsError as error:
            response = self._refused(request, error)
        await response(scope, receive, send)


def _is_plain_json(scope: Scope) -> bool:
    kinds = [value for name, value in scope["headers"] if name == b"content-type"]
    packed = any(name == b"content-encoding" for name, _ in scope["headers"])
    return kinds == [_JSON] and not packed


def _takes_a_body_alone(route: JsonBodyRoute) -> bool:
    """Whether nothing but the body and the request is handed to its function."""
    needs = route.dependant
    others = needs.path_params, needs.query_params, needs.header_params, needs.cookie_params
    return len(needs.body_params) == 1 and not any(others) and not needs.dependencies


def _validator(route: JsonBodyRoute) -> Callable[[object], object]:
    of: Any = route.dependant.body_params[0].field_info.annotation
    validate: Callable[[object], object] = TypeAdapter(of).validate_python
    return validate
