"""`POST /v1/feedback`: from the wire to the streams, some events at a time.

A call may hold thousands. Between two lots other requests have their turn, here and in Redis.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from service.api.context import Context
from service.api.schemas import FeedbackEntry
from service.errors import EventsUnavailable
from service.events.feedback import Outcome, Refusal, Taken, checked

_LOT = 250
_UNREADABLE = "unknown"
"""What metrics call the kind of an event that cannot be read."""


async def take_feedback(
    context: Context, entries: Sequence[FeedbackEntry], now_ms: int, limit_s: float
) -> dict[str, Any]:
    """What became of the events, as `FeedbackOut`'s JSON object; each lot has `limit_s` seconds.

    Raises `EventsUnavailable`. Some may be stored by then: sending all again does no harm.
    """
    if not context.events.on:
        raise EventsUnavailable("events are off here: set INTERESTS_EVENTS_KEPT above 0")
    counted: Counter[tuple[str, str]] = Counter()
    refused: list[Refusal] = []
    try:
        for first in range(0, len(entries), _LOT):
            lot = entries[first : first + _LOT]
            until = asyncio.get_running_loop().time() + limit_s
            refused += await _take_lot(context, first, lot, now_ms, until, counted)
    finally:
        for (kind, outcome), count in counted.items():
            context.metrics.feedback.labels(kind, outcome).inc(count)
    totals: Counter[str] = Counter()
    for (_, outcome), count in counted.items():
        totals[outcome] += count
    return {
        "stored": totals["stored"],
        "repeated": totals["repeated"],
        "refused": [asdict(one) for one in refused],
    }


async def _take_lot(
    context: Context,
    first: int,
    lot: Sequence[FeedbackEntry],
    now_ms: int,
    until: float,
    counted: Counter[tuple[str, str]],
) -> list[Refusal]:
    """What is refused of a lot whose first event has this place in the call; the rest is stored."""
    refused, events = [], []
    for index, entry in enumerate(lot, first):
        if isinstance(entry, ValidationError):
            refused.append(_unreadable(index, entry))
            counted[_UNREADABLE, "refused"] += 1
        else:
            events.append((index, entry.to_event(now_ms)))
    taken, wrong = checked(events, context.identity.verified, now_ms, context.event_days)
    outcomes = await context.events.take(taken, until) if taken else []
    for one, outcome in zip(taken, outcomes, strict=True):
        if outcome is Outcome.DELETED:
            wrong.append(_deleted(one))
        else:
            counted[one.event.kind, outcome.name.lower()] += 1
    kinds = {index: event.kind for index, event in events}
    counted.update((kinds[one.index], "refused") for one in wrong)
    if not taken:
        await asyncio.sleep(0)
    return sorted([*refused, *wrong], key=lambda one: one.index)


def _unreadable(index: int, error: ValidationError) -> Refusal:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return Refusal(index, field or "event", first["msg"].removeprefix("Value error, "))


def _deleted(one: Taken) -> Refusal:
    return Refusal(one.index, "user_id", "was deleted after the request that this is about")
