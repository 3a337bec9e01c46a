"""The wire: what callers send and get, with the limits of the contract and real examples."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from service.errors import InvalidInput
from service.records import (
    Candidate,
    CandidateSource,
    Degraded,
    Domain,
    InterestAnswer,
    InterestRequest,
    QuerySource,
    Run,
    Signal,
)

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def _printable(value: str) -> str:
    # Not str.isprintable(): that refuses the joiners inside many emoji and scripts.
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in value):
        raise ValueError("control characters are not accepted")
    return value


def _in_range(value: datetime) -> datetime:
    if not _EARLIEST <= value <= _LATEST:
        raise ValueError("the time must lie between 1970 and 2200")
    return value


UserId = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_printable)]
ArticleId = Annotated[str, Field(min_length=1, max_length=512)]
_STRICT = ConfigDict(extra="forbid")


class SignalIn(BaseModel):
    """One event of a user in one domain."""

    model_config = _STRICT

    at: Annotated[AwareDatetime, AfterValidator(_in_range)] = Field(
        description="When it happened: ISO 8601 with a time zone; at most 5 minutes ahead."
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


class InterestsIn(BaseModel):
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
    limit: int = Field(100, ge=1, le=500, description="How many candidates at the most.")
    max_queries: int = Field(8, ge=1, le=32, description="How many queries the student may write.")
    signals: list[SignalIn] = Field(
        default_factory=list,
        max_length=200,
        description="The session so far; merged with the stored signals, not stored.",
    )
    exclude_ids: list[ArticleId] = Field(
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

    def to_request(self) -> InterestRequest:
        """The frozen record of this call."""
        return InterestRequest(
            user_id=self.user_id,
            limit=self.limit,
            max_queries=self.max_queries,
            signals=to_signals(self.signals),
            exclude_ids=frozenset(self.exclude_ids),
            max_age_hours=self.max_age_hours,
            variant=self.variant,
            timeout_ms=self.timeout_ms,
            explain=self.explain,
        )


class BatchIn(BaseModel):
    """Ask for several users at once; each is answered or refused by itself."""

    model_config = _STRICT

    requests: list[InterestsIn] = Field(min_length=1, max_length=64)


class SignalsIn(BaseModel):
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
    signals: list[SignalIn] = Field(min_length=1, max_length=200)


class SignalsOut(BaseModel):
    """Acknowledged: every signal is stored."""

    stored: int = Field(description="Signals that were new.")
    repeated: int = Field(description="Signals that were known already.")


class StudentRef(BaseModel):
    """The student that served."""

    name: str
    version: str


class ExperimentOut(BaseModel):
    """A user's place in a running experiment."""

    key: str
    layer: str
    assigned: str
    served: str
    reason: str | None = None


class SourceOut(BaseModel):
    """The rungs of the ladder that the answer came from."""

    queries: QuerySource
    candidates: CandidateSource


class CoverageOut(BaseModel):
    """The share of queries, and of index shards, that answered; 1 is all."""

    queries: float
    shards: float


class QueryOut(BaseModel):
    """A query and how many hits it had."""

    text: str
    weight: float
    hits: int
    origin: Literal["student", "signal", "heuristic"]


class CandidateOut(BaseModel):
    """An article for the recommender."""

    id: str
    score: float
    title: str
    published: datetime | None
    category: str
    matched_queries: list[int] = Field(description="Indexes into `queries`.")
    ranks: list[int] | None = Field(None, description="With `explain`: its rank in each of them.")


class TimingsOut(BaseModel):
    """Milliseconds in each stage."""

    signals: float
    generate: float
    retrieve: float
    fuse: float
    total: float


class ShownSignalOut(BaseModel):
    """A signal as the student saw it."""

    at: datetime
    domain: Domain
    text: str


_ANSWER = {
    "request_id": "awOLPs9xpbIAAADu6CC5DxkAstLu2946xCpdYw",
    "user_id": "maya",
    "experiments": [],
    "student": {"name": "smollm2-base", "version": "1"},
    "source": {"queries": "fresh", "candidates": "search"},
    "degraded": [],
    "coverage": {"queries": 1.0, "shards": 1.0},
    "queries": [
        {
            "text": "On board a ship without an engine room",
            "weight": 1.0,
            "hits": 50,
            "origin": "student",
        },
        {"text": "why is my loaf flat", "weight": 1.0, "hits": 50, "origin": "signal"},
    ],
    "candidates": [
        {
            "id": "battery-ferry-12",
            "score": 0.0416,
            "title": "A day with Ingrid Halle, chief engineer at Norrsund Ferries",
            "published": "2026-11-11T11:52:00Z",
            "category": "transport",
            "matched_queries": [0],
        }
    ],
    "timings_ms": {
        "signals": 1.5,
        "generate": 3527.8,
        "retrieve": 15.3,
        "fuse": 1.1,
        "total": 3546.0,
    },
}
"""An answer of the demo, shortened to two queries and one candidate."""


class InterestsOut(BaseModel):
    """Candidates, and how they were found."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ANSWER]})

    request_id: str
    user_id: str
    experiments: list[ExperimentOut]
    student: StudentRef
    source: SourceOut
    degraded: list[Degraded] = Field(description="What went wrong on the way; empty when nothing.")
    coverage: CoverageOut
    queries: list[QueryOut]
    candidates: list[CandidateOut]
    timings_ms: TimingsOut
    signals: list[ShownSignalOut] | None = Field(None, description="With `explain`, oldest first.")


class BatchItemOut(BaseModel):
    """One user's part of a batch: `result` with status 200, else `problem`."""

    status: int
    result: InterestsOut | None = None
    problem: dict[str, Any] | None = None


class BatchOut(BaseModel):
    """Answers in the order of the requests."""

    results: list[BatchItemOut]


class EngineOut(BaseModel):
    """One engine of a student as the gateway sees it."""

    url: str
    state: str
    in_flight: int
    queued: int


class StudentOut(BaseModel):
    """A student this gateway can serve."""

    key: str
    name: str
    version: str
    default: bool
    parameters: int
    licence: str
    timeout_ms: int
    prompt_budget: int
    engines: list[EngineOut]


class StudentsOut(BaseModel):
    """All students of this gateway."""

    students: list[StudentOut]


class HealthOut(BaseModel):
    """The process is up."""

    status: Literal["ok"]


class ReadyOut(BaseModel):
    """Whether to send traffic here, and the state of each part."""

    ready: bool
    draining: bool
    checks: dict[str, str] = Field(description="Part → `ok`, or what is wrong with it.")


def to_signals(signals: Sequence[SignalIn]) -> tuple[Signal, ...]:
    """Wire signals as records; their ids are left empty where the caller gave none."""
    found = []
    for index, one in enumerate(signals):
        text = one.text.strip()
        if not text:
            raise InvalidInput("give a text that is not blank", field=f"signals[{index}].text")
        found.append(
            Signal(
                at_ms=(one.at - _EARLIEST) // timedelta(milliseconds=1),
                domain=one.domain,
                text=text,
                id=one.id or "",
                item=one.item,
                category=one.category,
                weight=one.weight,
            )
        )
    return tuple(found)


def from_answer(answer: InterestAnswer, *, explain: bool) -> dict[str, Any]:
    """The answer as `InterestsOut`'s JSON object, built directly: it is on every request's path."""
    runs = answer.runs
    body: dict[str, Any] = {
        "request_id": answer.request_id,
        "user_id": answer.user_id,
        "experiments": [],
        "student": {"name": answer.student.name, "version": answer.student.version},
        "source": {"queries": answer.queries_from, "candidates": answer.candidates_from},
        "degraded": answer.degraded,
        "coverage": {
            "queries": _share(sum(run.ok for run in runs), len(runs)),
            "shards": _share(answer.shards_ok, answer.shards_total),
        },
        "queries": [_query(run) for run in runs],
        "candidates": [_candidate(one, explain) for one in answer.candidates],
        "timings_ms": {
            "signals": round(answer.timings.signals, 3),
            "generate": round(answer.timings.generate, 3),
            "retrieve": round(answer.timings.retrieve, 3),
            "fuse": round(answer.timings.fuse, 3),
            "total": round(answer.timings.total, 3),
        },
    }
    if explain:
        body["signals"] = [
            {"at": iso(one.at_ms), "domain": one.domain, "text": one.text} for one in answer.shown
        ]
    return body


def iso(at_ms: int) -> str:
    """Milliseconds since the epoch as ISO 8601 in UTC, whole seconds."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def _query(run: Run) -> dict[str, Any]:
    query = run.query
    return {
        "text": query.text,
        "weight": round(query.weight, 4),
        "hits": len(run.hits),
        "origin": query.origin,
    }


def _candidate(one: Candidate, explain: bool) -> dict[str, Any]:
    hit = one.hit
    body: dict[str, Any] = {
        "id": hit.id,
        "score": round(one.score, 6),
        "title": hit.title,
        "published": iso(hit.published_ms) if hit.published_ms else None,
        "category": hit.category,
        "matched_queries": one.matched,
    }
    if explain:
        body["ranks"] = one.ranks
    return body
