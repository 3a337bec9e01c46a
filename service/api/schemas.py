"""What callers send: the limits of the contract, with real examples."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    GetPydanticSchema,
    ValidationError,
    ValidatorFunctionWrapHandler,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from service.api.wire_signals import (
    EARLIEST,
    LATEST,
    Moment,
    SessionSignals,
    SignalsList,
    milliseconds,
    to_signals,
)
from service.defaults import LIMIT, MAX_QUERIES
from service.events.feedback import Feedback, FeedbackKind
from service.limits import ARTICLE_ID_BYTES
from service.records import InterestRequest


def _printable(value: str) -> str:
    # Not str.isprintable(): that refuses the joiners inside many emoji and scripts.
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in value):
        raise ValueError("control characters are not accepted")
    return value


MOST_FEEDBACK = 10_000
"""Events of a call."""

UserId = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_printable)]
ArticleId = Annotated[str, Field(min_length=1, max_length=ARTICLE_ID_BYTES)]


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
    explain: bool = Field(
        False, description="Add how articles were found, and the signals that the prompt showed."
    )

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


def _each_by_itself(model: type[BaseModel]) -> GetPydanticSchema:
    return GetPydanticSchema(
        lambda _, schema_of: core_schema.no_info_wrap_validator_function(
            _or_its_error, schema_of(model)
        )
    )


Entry = Annotated[InterestsIn | ValidationError, _each_by_itself(InterestsIn)]
"""A request of a batch, or what is wrong with it, its fields named as if it had been sent alone."""


class BatchIn(_Strict):
    """Ask for several users at once; each is answered or refused by itself."""

    requests: list[Entry] = Field(min_length=1, max_length=64)


class FeedbackEventIn(_Strict):
    """One thing that a reader did with an article of an answer."""

    event_id: str = Field(
        min_length=1,
        max_length=64,
        description="Yours, distinct within a request: an event that is sent again is no new one.",
    )
    request_id: str = Field(
        min_length=1, max_length=64, description="`request_id` of the answer that showed it."
    )
    user_id: UserId = Field(description="The user of that answer.")
    kind: FeedbackKind
    article_id: ArticleId
    at: Moment | None = Field(
        None,
        ge=EARLIEST,
        le=LATEST,
        description="When it happened: ISO 8601 with a time zone. When absent, the moment of this "
        "call.",
    )
    dwell_ms: int | None = Field(
        None, ge=0, le=86_400_000, description="Of a dwell: how long the article was read."
    )

    def to_event(self, now_ms: int) -> Feedback:
        """The frozen record of this event, which came at `now_ms`."""
        return Feedback(
            event_id=self.event_id,
            request_id=self.request_id,
            user_id=self.user_id,
            kind=self.kind,
            article_id=self.article_id,
            at_ms=now_ms if self.at is None else milliseconds(self.at),
            dwell_ms=self.dwell_ms,
        )


FeedbackEntry = Annotated[FeedbackEventIn | ValidationError, _each_by_itself(FeedbackEventIn)]
"""An event of a call, or what is wrong with it."""


class FeedbackIn(_Strict):
    """What readers did; each event is stored or refused by itself."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "events": [
                        {
                            "event_id": "page-81/3",
                            "request_id": "awhDoNeZDVgAAAACduExW94vjEm3-BgLvv62-A",
                            "user_id": "maya",
                            "kind": "click",
                            "article_id": "battery-ferry-07",
                        }
                    ]
                }
            ]
        },
    )

    events: list[FeedbackEntry] = Field(min_length=1, max_length=MOST_FEEDBACK)


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
