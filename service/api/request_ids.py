"""The id that an answer carries in `X-Request-Id`: the caller's own, or a new one."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import Message, Send

HEADER = b"x-request-id"
_TAKEN_OVER = re.compile(rb"[\x21-\x7e]{1,128}")
"""Printable ASCII without blanks: nothing that could end a header or a line of a log."""


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's id, where it sent one that can be taken over; a new one otherwise."""
    for name, value in headers:
        if name == HEADER:
            return value.decode() if _TAKEN_OVER.fullmatch(value) else new_request_id()
    return new_request_id()


def new_request_id() -> str:
    """An id for a request that brought none, or for what is no request at all."""
    return f"{random.getrandbits(128):032x}"


def naming_send(send: Send, state: dict[str, Any]) -> Send:
    """A `send` whose answers carry `state["request_id"]`, as it is when the answer starts."""

    async def send_named(message: Message) -> None:
        if message["type"] == "http.response.start":
            named = (HEADER, state["request_id"].encode())
            message = {**message, "headers": [*message.get("headers", ()), named]}
        await send(message)

    return send_named
