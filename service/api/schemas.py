"""What callers send: the limits of the contract, with real examples."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    GetPydanticSchema,
    ValidationError,
    ValidatorFunctionWrapHandler,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from service.defaults import LIMIT, MAX_QUERIES
from service.errors import InvalidInput
from service.records import (
    Domain,
    InterestRequest,
    Signal,
)

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def _printable(value: str) -> str:
    # Not str.isprintable(): that refuses the joiners inside many emoji and scripts.
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in value):
        raise ValueError("control characters are not accepted")
    return value


UserId = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_printable)]
ArticleId = Annotated[str, Field(min_length=1, max_length=512)]


class _Strict(BaseModel):
    """An object whose unknown fields are refused, all of them in one error.

    Their names are the caller's words, and there may be as many as a body has room for: the error
    names the fields that there are.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _known_fields_only(cls, given: Any) -> Any:
        if isinstance(given, dict) and not given.keys() <= cls.model_fields.keys():
            raise PydanticCustomError(
                "unknown_field",
                "holds an unknown field; the fields are: {fields}",
                {"fields": ", ".join(cls.model_fields)},
            )
        return given


class SessionSignalIn(BaseModel):
    """One event of a user in one domain, as part of the session of a request."""

    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime | None = Field(
        None,
        ge=_EARLIEST,
        le=_LATEST,
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
        None, min_length=1, max_length=128, description="Id of the item; an article's id for news."
    )
    category: str | None = Field(None, min_length=1, max_length=64)
    weight: float = Field(1.0, gt=0, le=100, allow_inf_nan=False)


class SignalIn(SessionSignalIn):
    """One event of a user in one domain, to be stored."""

    at: AwareDatetime = Field(
        ge=_EARLIEST,
        le=_LATEST,
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


class InterestsIn(_Strict):
    """Ask for a user's candidates."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"user_id": "maya", "limit": 5, "explain": True},
                {
                    "user_id": "visitor-17",
                    "limit": 20,
                    "max_queries": 6,
                    "timeout_ms": 8000,
                    "signals": [
                        {
                            "at": "2026-11-20T18:02:11Z",
                            "domain": "search",
                            "text": "night train to the coast",
                        },
                        {
                            "at": "2026-11-20T18:05:40Z",
                            "domain": "video",
                            "text": "Inside the new sleeper carriages",
                        },
                    ],
                    "exclude_ids": ["travel-0012"],
                },
            ]
        },
    )

    user_id: UserId
    limit: int = Field(LIMIT, ge=1, le=500, description="How many candidates at the most.")
    max_queries: int = Field(
        MAX_QUERIES, ge=1, le=32, description="How many queries the student may write."
    )
    signals: SessionSignals = Field(
        default_factory=list,
        max_length=200,
        description="The session so far; merged with the stored signals, not stored.",
    )
    exclude_ids: Annotated[list[ArticleId], FailFast()] = Field(
        default_factory=list, max_length=1_000, description="Articles not to return."
    )
    max_age_hours: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        allow_inf_nan=False,
        description="Only articles younger than this.",
    )
    variant: str | None = Field(
        None, max_length=128, description="`name@version` of a student; needs the right `variant`."
    )
    timeout_ms: int | None = Field(
        None, ge=20, le=30_000, description="Deadline; the student's own default when absent."
    )
    explain: bool = Field(False, description="Add ranks, and the signals that the prompt showed.")

    def to_request(self, now_ms: int) -> InterestRequest:
        """The frozen record of this call, which came at `now_ms`."""
        return InterestRequest(
            user_id=self.user_id,
            limit=self.limit,
            max_queries=self.max_queries,
            signals=to_signals(self.signals, now_ms),
            exclude_ids=frozenset(self.exclude_ids),
            max_age_hours=self.max_age_hours,
            variant=self.variant,
            timeout_ms=self.timeout_ms,
            explain=self.explain,
        )


def _or_its_error(given: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(given)
    except ValidationError as error:
        return error


Entry = Annotated[
    InterestsIn | ValidationError,
    GetPydanticSchema(
        lambda _, schema_of: core_schema.no_info_wrap_validator_function(
            _or_its_error, schema_of(InterestsIn)
        )
    ),
]
"""A request of a batch, or what is wrong with it, its fields named as if it had been sent alone."""


class BatchIn(_Strict):
    """Ask for several users at once; each is answered or refused by itself."""

    requests: list[Entry] = Field(min_length=1, max_length=64)


class SignalsIn(_Strict):
    """Events of one user to store."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "user_id": "maya",
                    "signals": [
                        {
                            "id": "e-901",
                            "at": "2026-11-20T18:02:11Z",
                            "domain": "search",
                            "text": "cargo bike insurance",
                        }
                    ],
                }
            ]
        },
    )

    user_id: UserId
    signals: SignalsList = Field(min_length=1, max_length=200)


def _milliseconds(span: timedelta) -> int:
    """Whole ones; three times as quick as dividing by a timedelta of one."""
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
                at_ms=first_ms + index
                if signal.at is None
                else _milliseconds(signal.at - _EARLIEST),
                domain=signal.domain,
                text=text,
                id=signal.id or "",
                item=signal.item,
                category=signal.category,
                weight=signal.weight,
            )
        )
    return tuple(found)
