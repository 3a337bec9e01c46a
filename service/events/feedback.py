"""Feedback: what readers did with what they were shown. Checked without a look-up. Pure.

The request id of an answer is signed and names its time, its process and a hash of its user
(`service.identity`). So whether an event can be about an answer of ours is seen from the event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import orjson

from service.dates import CLOCK_SKEW_MS
from service.events.streams import DAY_S
from service.identity import RequestName

FeedbackKind = Literal["impression", "click", "dwell"]
_DIGEST_BYTES = 10


@dataclass(frozen=True, slots=True)
class Feedback:
    """An event as it was sent. `at_ms` is when it happened, `dwell_ms` is of a dwell alone."""

    event_id: str
    request_id: str
    user_id: str
    kind: FeedbackKind
    article_id: str
    at_ms: int
    dwell_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """An event that can be stored, what its request id says, and its place in the call."""

    event: Feedback
    request: RequestName
    index: int = 0

    def digest(self) -> bytes:
        """The same for the same event of the same request, whenever it is sent."""
        request = self.request
        name = f"{request.at_s}/{request.process}/{request.sequence}/{self.event.event_id}"
        return hashlib.blake2b(name.encode(), digest_size=_DIGEST_BYTES).digest()

    def data(self) -> bytes:
        """The object of the stream (docs/events.md)."""
        event = self.event
        return orjson.dumps(
            {
                "v": 1,
                "id": event.request_id,
                "event": event.event_id,
                "user": event.user_id,
                "kind": event.kind,
                "article": event.article_id,
                "at": event.at_ms,
                "dwell_ms": event.dwell_ms,
            }
        )


class Outcome(IntEnum):
    """What became of an event that can be stored."""

    DELETED = -1
    """Its user was deleted after the request: nothing is stored of it."""
    REPEATED = 0
    STORED = 1


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event was not taken: its place in the call, the field, and what is wrong there."""

    index: int
    field: str
    reason: str


def checked(
    events: Iterable[tuple[int, Feedback]],
    verified: Callable[[str, str], RequestName | None],
    now_ms: int,
    days: int,
) -> tuple[list[Taken], list[Refusal]]:
    """The events that can be stored, and the others, of these and their places in the call.

    `days`: how long a request can be named.
    `verified` gives what a request id of ours for this user says, else None.
    """
    taken: list[Taken] = []
    refused: list[Refusal] = []
    for index, event in events:
        request = verified(event.request_id, event.user_id)
        if request is None:
            told = "is no request id that this service gave out for this user"
            refused.append(Refusal(index, "request_id", told))
        elif fault := _fault(event, request, now_ms, days):
            refused.append(Refusal(index, *fault))
        else:
            taken.append(Taken(event, request, index))
    return taken, refused


def _fault(event: Feedback, request: RequestName, now_ms: int, days: int) -> tuple[str, str] | None:
    request_ms = request.at_s * 1000
    if request_ms < now_ms - days * DAY_S * 1000:
        return "request_id", f"is older than the {days} days that answers are kept"
    if event.at_ms > now_ms + CLOCK_SKEW_MS:
        return "at", "is more than 5 minutes ahead of this service's clock"
    if event.at_ms < request_ms - CLOCK_SKEW_MS:
        return "at", "is more than 5 minutes before the request that it is about"
    if event.kind == "dwell" and event.dwell_ms is None:
        return "dwell_ms", "is missing: a dwell says how long it was"
    if event.kind != "dwell" and event.dwell_ms is not None:
        return "dwell_ms", f"is of a dwell alone, and this is of the kind {event.kind}"
    return None
