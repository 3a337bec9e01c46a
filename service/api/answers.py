"""What callers get: the shapes for the API page, and the answer itself, built directly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from math import copysign, isfinite, isnan
from sys import float_info
from typing import Any, Literal

import orjson
from pydantic import ConfigDict, Field

from service.api.serving import Shown
from service.dates import iso
from service.records import (
    Candidate,
    CandidateSource,
    Degraded,
    Domain,
    InterestAnswer,
    PlacedBy,
    QuerySource,
    Run,
)
from service.remembered import remembered
from service.retrieval.origins import stems_from


class SignalsOut(Shown):
    """Acknowledged: what became of the signals is settled."""

    stored: int = Field(description="Signals that were new.")
    repeated: int = Field(description="Signals that were known already.")
    dropped: int = Field(
        description="Signals not newer than the user's deletion, or older than all that is kept."
    )


class FeedbackRefusalOut(Shown):
    """An event that was not stored."""

    index: int = Field(description="Its place in `events`, from 0.")
    field: str
    reason: str


class FeedbackOut(Shown):
    """Acknowledged: what became of the events is settled."""

    stored: int = Field(description="Events that were new.")
    repeated: int = Field(description="Events that were stored already.")
    refused: list[FeedbackRefusalOut] = Field(description="The others, and why.")


class StudentRef(Shown):
    """The student that served."""

    name: str
    version: str


class ExperimentOut(Shown):
    """A user's place in a running experiment."""

    key: str
    layer: str
    assigned: str = Field(description="The arm; `holdout`: kept out, to compare with.")
    served: str = Field(
        description="The same arm, or what was served in its place: `student:…`, `queries:…`, "
        "`candidates:…`."
    )
    reason: str | None = Field(
        description="Why `served` is not the arm: `override`, or a reason of `degraded`; or "
        "`allowlist`, which gave the arm. Else null."
    )


class SourceOut(Shown):
    """The rungs of the ladder that the answer came from."""

    queries: QuerySource
    candidates: CandidateSource


class CoverageOut(Shown):
    """The share of queries, and of index shards, that answered; 1 is all."""

    queries: float
    shards: float


class QueryOut(Shown):
    """A query and how many hits it had."""

    text: str
    weight: float
    hits: int = Field(description="Articles found by its words.")
    near: int = Field(description="Articles found by its meaning; 0 without an encoder.")
    origin: Literal["student", "signal", "heuristic"]
    stems_from: list[int] | None = Field(
        None,
        description="With `explain`: indexes into `signals` of those that it names, repeats or "
        "shares most words with; where there are none, of those whose own searches find what it "
        "finds.",
    )


class FoundOut(Shown):
    """How one query found an article."""

    query: int = Field(description="Index into `queries`.")
    by: Literal["words", "meaning"]
    rank: int = Field(description="Among the hits of this query by words or by meaning, from 1.")
    score: float = Field(description="BM25 by words; by meaning the nearness, 0 to 1.")


class CandidateOut(Shown):
    """An article for the recommender."""

    id: str
    score: float = Field(
        description="The article's own; compares candidates of one answer. What the user's queries "
        "say, 0 to 1, and the weight of its popularity."
    )
    title: str
    published: datetime | None
    category: str
    origin: CandidateSource = Field(
        description="`search`: found by a query. `popular`: there by its popularity alone."
    )
    placed_by: PlacedBy | None = Field(
        None,
        description="Where it stands before one with a higher score: `own`, for what the user's "
        "queries say without popularity; `query`, which had no place yet; or `category`, which "
        "those with higher scores had enough of.",
    )
    matched_queries: list[int] = Field(description="Indexes into `queries`, from 0.")
    ranks: list[int] | None = Field(
        None, description="With `explain`: its rank in each of them, the better of both kinds."
    )
    found: list[FoundOut] | None = Field(
        None, description="With `explain`: how each query found this very article."
    )


class TimingsOut(Shown):
    """Milliseconds in each stage."""

    signals: float
    generate: float
    retrieve: float
    fuse: float
    total: float


class ShownSignalOut(Shown):
    """A signal as the student saw it."""

    at: datetime
    domain: Domain
    text: str


_ANSWER: dict[str, Any] = {
    "request_id": "awhDoNeZDVgAAAACduExW94vjEm3-BgLvv62-A",
    "user_id": "maya",
    "experiments": [],
    "student": {"name": "interests-small", "version": "9"},
    "source": {"queries": "fresh", "candidates": "search"},
    "degraded": [],
    "coverage": {"queries": 1.0, "shards": 1.0},
    "queries": [
        {
            "text": "Electric ferry battery trial whether batteries survive winter timetable",
            "weight": 1.0,
            "hits": 50,
            "origin": "student",
        },
        {"text": "loaf flat", "weight": 0.67, "hits": 50, "origin": "signal"},
    ],
    "candidates": [
        {
            "id": "battery-ferry-07",
            "score": 1.613801,
            "title": "Counting up the electric ferry battery trial",
            "published": "2026-11-05T23:09:00Z",
            "category": "transport",
            "matched_queries": [0],
        }
    ],
    "timings_ms": {
        "signals": 6.594,
        "generate": 1565.342,
        "retrieve": 25.804,
        "fuse": 2.395,
        "total": 1601.577,
    },
}
"""An answer of the demo, shortened to two queries and one candidate."""


class InterestsOut(Shown):
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


class BatchItemOut(Shown):
    """One user's part of a batch: `result` with status 200, else `problem`."""

    status: int
    result: InterestsOut | None = None
    problem: dict[str, Any] | None = None


class BatchOut(Shown):
    """Answers in the order of the requests."""

    results: list[BatchItemOut]


class EngineOut(Shown):
    """One engine of a student as the gateway sees it."""

    url: str
    state: str
    in_flight: int
    queued: int


class StudentOut(Shown):
    """A student this gateway can serve."""

    key: str
    name: str
    version: str
    default: bool
    in_use: bool = Field(
        description="False while a new one, or a changed one, waits for an engine to answer."
    )
    parameters: int
    licence: str
    timeout_ms: int
    prompt_budget: int
    engines: list[EngineOut]


class StudentsOut(Shown):
    """All students of this gateway."""

    students: list[StudentOut]


class HealthOut(Shown):
    """The process is up."""

    status: Literal["ok"]


class ReadyOut(Shown):
    """Whether to send traffic here, and the state of each part."""

    ready: bool
    draining: bool
    checks: dict[str, str] = Field(description="Part → `ok`, or what is wrong with it.")


def from_answer(answer: InterestAnswer, *, explain: bool) -> dict[str, Any]:
    """The answer as `InterestsOut`'s JSON object, built directly: it is on every request's path."""
    runs = answer.runs
    body: dict[str, Any] = {
        "request_id": answer.request_id,
        "user_id": answer.user_id,
        "experiments": [asdict(place) for place in answer.experiments],
        "student": {"name": answer.student.name, "version": answer.student.version},
        "source": {"queries": answer.queries_from, "candidates": answer.candidates_from},
        "degraded": answer.degraded,
        "coverage": {
            "queries": _share(sum(run.ok for run in runs), len(runs)),
            "shards": _share(answer.shards_ok, answer.shards_total),
        },
        "queries": _queries(runs),
        "candidates": _candidates(answer.candidates),
        "timings_ms": {
            "signals": round(answer.timings.signals, 3),
            "generate": round(answer.timings.generate, 3),
            "retrieve": round(answer.timings.retrieve, 3),
            "fuse": round(answer.timings.fuse, 3),
            "total": round(answer.timings.total, 3),
        },
    }
    if explain:
        body["queries"] = [
            {**_query(run), "stems_from": places}
            for run, places in zip(runs, stems_from(runs, answer.shown), strict=True)
        ]
        found = _found(runs)
        body["candidates"] = [
            {**_candidate(one), "ranks": one.ranks, "found": found.get(one.article.id, [])}
            for one in answer.candidates
        ]
        body["signals"] = [
            {"at": iso(signal.at_ms), "domain": signal.domain, "text": signal.text}
            for signal in answer.shown
        ]
    return body


_moment = lru_cache(20_000)(iso)
"""Of articles, which are shown again and again: to write a date takes longer than all else of one.
"""


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def _number(value: float, digits: int) -> float:
    """Rounded; what JSON has no number for becomes the nearest that it has, and 0 if there is none.

    Scores are made of what others wrote: the index's scores and popularities, an own weight.
    """
    if isfinite(value):
        return round(value, digits)
    return 0.0 if isnan(value) else copysign(float_info.max, value)


@remembered
def _queries(runs: tuple[Run, ...]) -> orjson.Fragment:
    """The queries of an answer in JSON: those of a list that is used again are written once."""
    return orjson.Fragment(orjson.dumps([_query(run) for run in runs]))


@remembered
def _candidates(candidates: tuple[Candidate, ...]) -> orjson.Fragment:
    """The candidates of an answer in JSON: those of an answer that is the same are written once."""
    return orjson.Fragment(orjson.dumps([_candidate(one) for one in candidates]))


def _query(run: Run) -> dict[str, Any]:
    query = run.query
    return {
        "text": query.text,
        "weight": _number(query.weight, 4),
        "hits": len(run.hits),
        "near": len(run.near),
        "origin": query.origin,
    }


def _found(runs: Sequence[Run]) -> dict[str, list[dict[str, Any]]]:
    """By article: every query that found it, by words or by meaning, with rank and score."""
    found: dict[str, list[dict[str, Any]]] = {}
    for number, run in enumerate(runs):
        for by, hits in (("words", run.hits), ("meaning", run.near)):
            for rank, hit in enumerate(hits, 1):
                score = _number(hit.score, 6)
                one = {"query": number, "by": by, "rank": rank, "score": score}
                found.setdefault(hit.id, []).append(one)
    return found


def _candidate(candidate: Candidate) -> dict[str, Any]:
    hit = candidate.article
    body: dict[str, Any] = {
        "id": hit.id,
        "score": _number(candidate.score, 6),
        "title": hit.title,
        "published": _moment(hit.published_ms) if hit.published_ms else None,
        "category": hit.category,
        "origin": candidate.origin,
        "matched_queries": candidate.matched,
    }
    if candidate.placed_by != "score":
        body["placed_by"] = candidate.placed_by
    return body
