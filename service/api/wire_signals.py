"""Signals as callers send them, and as records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, FailFast, Field
from pydantic_core import PydanticCustomError

from service.dates import parse_time
from service.errors import InvalidInput
from service.limits import ARTICLE_ID_BYTES
from service.records import Domain, Signal

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def _time(given: object) -> object:
    """A number as files' numbers are read: milliseconds, and seconds are refused. The parser of
    datetimes would take either, and a number in quotes too."""
    if isinstance(given, str):
        if ":" not in given and given[4:5] != "-":
            raise PydanticCustomError("not_iso", "must be ISO 8601 with a time zone")
        return given
    if isinstance(given, bool) or not isinstance(given, int | float):
        return given
    try:
        return EARLIEST + timedelta(milliseconds=parse_time(given, "at"))
    except InvalidInput as error:
        raise PydanticCustomError("not_milliseconds", "{why}", {"why": str(error)}) from error


Moment = Annotated[AwareDatetime, BeforeValidator(_time)]


class SessionSignalIn(BaseModel):
    """One event of a user in one domain, as part of the session of a request."""

    model_config = ConfigDict(extra="forbid")

    at: Moment | None = Field(
        None,
        ge=EARLIEST,
        le=LATEST,
        description="When it happened: ISO 8601 with a time zone; at most 5 minutes ahead. When"
        " absent, the moment of the request; of several without it, the last is the newest.",
    )
    domain: Domain
    text: str = Field(
        min_length=1,
        max_length=2_000,
        description="What was searched, or the title of what was seen, bought or read.",
    )
    id: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="Event id: a repeat changes nothing. Derived from the content when absent.",
    )
    item: str | None = Field(
        None,
        min_length=1,
        max_length=ARTICLE_ID_BYTES,
        description="Id of the item; an article's id for news.",
    )
    category: str | None = Field(None, min_length=1, max_length=64)
    weight: float = Field(1.0, gt=0, le=100, allow_inf_nan=False)


class SignalIn(SessionSignalIn):
    """One event of a user in one domain, to be stored."""

    at: Moment = Field(
        ge=EARLIEST,
        le=LATEST,
        description="When it happened: ISO 8601 with a time zone; at most 5 minutes ahead."
        " Required: an event without an id is known by its time, and a retry must be known again.",
    )


def _no_crowds(given: object) -> object:
    """Refuse objects of far more fields than there are before each costs an error of its own."""
    if isinstance(given, list) and any(
        isinstance(signal, dict) and len(signal) > 2 * len(SignalIn.model_fields)
        for signal in given
    ):
        raise PydanticCustomError(
            "unknown_field",
            "holds a signal with unknown fields; the fields are: {fields}",
            {"fields": ", ".join(SignalIn.model_fields)},
        )
    return given


SignalsList = Annotated[list[SignalIn], FailFast(), BeforeValidator(_no_crowds)]
SessionSignals = Annotated[list[SessionSignalIn], FailFast(), BeforeValidator(_no_crowds)]


def milliseconds(at: datetime) -> int:
    """Whole ones since 1970; three times as quick as dividing by a timedelta of one."""
    span = at - EARLIEST
    return span.days * 86_400_000 + span.seconds * 1_000 + span.microseconds // 1_000


def to_signals(signals: Sequence[SessionSignalIn], now_ms: int) -> tuple[Signal, ...]:
    """Wire signals as records; their ids are left empty where the caller gave none.

    Those without a time get `now_ms` and the milliseconds before it, in the order given.
    """
    found = []
    first_ms = now_ms - len(signals) + 1
    for index, signal in enumerate(signals):
        text = signal.text.strip()
        if not text:
            raise InvalidInput("give a text that is not blank", field=f"signals[{index}].text")
        found.append(
            Signal(
                at_ms=first_ms + index if signal.at is None else milliseconds(signal.at),
                domain=signal.domain,
                text=text,
                id=signal.id or "",
                item=signal.item,
                category=signal.category,
                weight=signal.weight,
            )
        )
    return tuple(found)
