"""The steps that an answer and a shadow share: the list as searched, the search, the merge."""

from __future__ import annotations

from service.choice import PipelineSettings, ServingStudent
from service.dates import CLOCK_SKEW_MS
from service.errors import NothingToServe, RetrievalError
from service.generation.own import beside
from service.protocols import Retriever
from service.records import (
    Candidate,
    CandidateSource,
    Degraded,
    Filters,
    GenerationRequest,
    InterestRequest,
    Prompt,
    Query,
    Retrieval,
    Run,
    Signal,
    UserState,
)
from service.remembered import Remembered
from service.retrieval.fusion import FusionSettings, fuse
from service.retrieval.popular import PopularSnapshot

_MINUTE_MS = 60_000
_HOUR_MS = 3_600_000
_searched: Remembered[tuple[Query, ...]] = Remembered()


class Steps:
    """The steps that need the index, and what is popular in it."""

    def __init__(self, retriever: Retriever, popular: PopularSnapshot) -> None:
        self._retriever = retriever
        self._popular = popular
        self._merged: Remembered[tuple[Candidate, ...]] = Remembered()

    def prepare(
        self, signals: tuple[Signal, ...], settings: PipelineSettings, until: float
    ) -> None:
        """Begin what a search will need whatever list is written: the user's own signals."""
        self._retriever.prepare(as_searched((), signals, settings), until)

    async def search(
        self, queries: tuple[Query, ...], size: int, filters: Filters, until: float
    ) -> tuple[Retrieval, tuple[Degraded, ...]]:
        """Runs of all queries, `size` hits each, and what went wrong. Never raises."""
        if not queries:
            return Retrieval(runs=(), shards_ok=0, shards_total=0), ()
        try:
            retrieval = await self._retriever.search(queries, size, filters, until)
        except RetrievalError as error:
            failed = tuple(Run(query=query, hits=(), ok=False) for query in queries)
            return Retrieval(failed, 0, 0), (Degraded(error.reason),)
        return retrieval, retrieval.degraded

    def merge(
        self,
        request: InterestRequest,
        signals: tuple[Signal, ...],
        retrieval: Retrieval,
        filters: Filters,
        now_ms: int,
        fusion: FusionSettings,
    ) -> tuple[CandidateSource, tuple[Candidate, ...]]:
        """Fused candidates, what is popular among them. Raises `NothingToServe`."""
        popular = self._popular.hits(filters)
        now_ms -= now_ms % _MINUTE_MS  # freshness by the minute: what is merged again is the same
        same, equal = (retrieval, signals, popular), (request.limit, request.exclude_ids, now_ms)
        candidates = self._merged.get(same, (*equal, fusion))
        if candidates is None:
            # As many as signals are kept, so comparing with all of them is bounded.
            clicks = [signal for signal in signals if signal.domain == "news"]
            candidates = fuse(
                retrieval.runs,
                limit=request.limit,
                now_ms=now_ms,
                exclude=request.exclude_ids | {click.item for click in clicks if click.item},
                settings=fusion,
                read=tuple(dict.fromkeys(click.text for click in clicks)),
                popular=popular,
            )
            if retrieval.kept:
                self._merged.put(candidates, same, (*equal, fusion))
        if not (candidates or self._popular.available or any(run.ok for run in retrieval.runs)):
            raise NothingToServe("the article index does not answer and nothing popular is kept")
        found = any(candidate.origin == CandidateSource.SEARCH for candidate in candidates)
        return CandidateSource.SEARCH if found else CandidateSource.POPULAR, candidates


def turn_of(
    request: InterestRequest,
    student: ServingStudent,
    signals: tuple[Signal, ...],
    prompt: Prompt,
    state: UserState,
    *,
    may_keep: bool,
) -> GenerationRequest:
    """What a student is asked to write; `state` has the lists that may be used again."""
    return GenerationRequest(
        user_id=request.user_id,
        student=student.spec,
        signals=signals,
        prompt=prompt,
        fingerprint=student.fingerprint(prompt.shown),
        max_queries=request.max_queries,
        read_at_ms=state.read_at_ms,
        kept=state.kept,
        may_keep=may_keep,
    )


def as_searched(
    written: tuple[Query, ...], signals: tuple[Signal, ...], settings: PipelineSettings
) -> tuple[Query, ...]:
    """The list as searched: what was written, and the newest signals that it does not name."""
    how = settings.own_signals, settings.own_weight, settings.language
    searched = _searched.get((written, signals), how)
    if searched is None:
        searched = beside(written, signals, *how)
        _searched.put(searched, (written, signals), how)
    return searched


def missing(candidates: tuple[Candidate, ...]) -> tuple[Degraded, ...]:
    """Why there is no candidate though everything answered: none passes the filters."""
    return () if candidates else (Degraded.NO_CANDIDATES,)


def filters_of(request: InterestRequest, now_ms: int) -> Filters:
    """No articles from the future, and none older than the request wants."""
    until_ms = now_ms + CLOCK_SKEW_MS
    after_ms = None
    if request.max_age_hours is not None:
        oldest_ms = now_ms - int(request.max_age_hours * _HOUR_MS)
        after_ms = max(0, oldest_ms - oldest_ms % _MINUTE_MS)
    return Filters(after_ms, until_ms - until_ms % _MINUTE_MS)
