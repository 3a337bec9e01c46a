"""A request, from top to bottom: signals → queries → articles → candidates, within one deadline.

The pipeline hands records from one stage to the next; the stages do not know each other. Whatever
fails is noted in `degraded` and the request goes on with what it has: only when there is neither a
hit nor a popular article does it raise `NothingToServe`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from service.choice import Choice, Chooser, PipelineSettings, ServingStudent, placements
from service.dates import CLOCK_SKEW_MS
from service.errors import NothingToServe, RetrievalError, SignalsUnavailable
from service.generation.own import beside
from service.identity import Identity
from service.limits import Deadline
from service.protocols import ExposureSink, Retriever, SignalStore
from service.records import (
    Candidate,
    CandidateSource,
    Degraded,
    Filters,
    GenerationRequest,
    InterestAnswer,
    InterestRequest,
    Prompt,
    Query,
    QueryList,
    Retrieval,
    Run,
    Signal,
    Timings,
    UserState,
)
from service.retrieval.fusion import FusionSettings, fuse
from service.retrieval.popular import PopularSnapshot
from service.signals.merge import merge
from service.signals.times import not_ahead
from service.stages import StageClock
from service.telemetry import Metrics

_MINUTE_MS = 60_000
_HOUR_MS = 3_600_000


class InterestPipeline:
    """Answers requests. Everything it calls is passed in; `service/parts.py` composes it."""

    def __init__(
        self,
        *,
        store: SignalStore,
        chooser: Chooser,
        retriever: Retriever,
        popular: PopularSnapshot,
        identity: Identity,
        exposures: ExposureSink,
        metrics: Metrics,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self._store = store
        self._chooser = chooser
        self._retriever = retriever
        self._popular = popular
        self._identity = identity
        self._exposures = exposures
        self._metrics = metrics
        self._now_ms = now_ms

    def choose(self, request: InterestRequest) -> Choice:
        """What serves a request. Raises `InvalidInput` for an unknown variant."""
        return self._chooser.choose(request.user_id, request.variant, self._now_ms())

    async def run(
        self, request: InterestRequest, choice: Choice, deadline: Deadline
    ) -> InterestAnswer:
        """Answer one request by what was chosen for it. Raises `NothingToServe` only."""
        clock = StageClock.start()
        waited_ms = (deadline.total_s - deadline.remaining_s()) * 1000  # the body was on its way
        now_ms = self._now_ms()
        student, settings = choice.student, choice.settings

        with self._metrics.timed("signals", clock) as span:
            state, store_notes = await self._read(request, deadline)
            self._metrics.failed("signals", store_notes)
            signals = merge(
                not_ahead(state.signals, now_ms), request.signals, settings.signals_kept
            )
            span.note(signals=len(signals))

        with self._metrics.timed("generate", clock) as span:
            # Whatever the student writes, these are searched: the encoder reads them meanwhile.
            own = _with_own_signals((), signals, settings)
            self._retriever.prepare(own, deadline.retrieve_until)
            prompt = student.render(signals)
            written = await self._write(request, student, signals, state, prompt, deadline)
            self._metrics.failed("generate", written.degraded)
            queries_from, count = str(written.source), len(written.queries)
            span.note(student=student.spec.key, queries_from=queries_from, queries=count)

        with self._metrics.timed("retrieve", clock) as span:
            queries = _with_own_signals(written.queries, signals, settings)
            filters = _filters(request, now_ms)
            retrieval, index_notes = await self._search(
                queries, settings.hits_per_query, filters, deadline
            )
            self._metrics.failed("retrieve", index_notes)
            self._metrics.covered(retrieval)
            answered = sum(run.ok for run in retrieval.runs)
            span.note(queries=len(queries), queries_answered=answered)

        with self._metrics.timed("fuse", clock) as span:
            candidates_from, candidates = self._merge(
                request, signals, retrieval, filters, now_ms, settings.fusion
            )
            span.note(candidates_from=str(candidates_from), candidates=len(candidates))

        degraded = tuple(
            dict.fromkeys((*store_notes, *written.degraded, *index_notes, *_empty(candidates)))
        )
        answer = InterestAnswer(
            request_id=self._identity.request_id(request.user_id),
            user_id=request.user_id,
            student=student.spec,
            queries_from=written.source,
            candidates_from=candidates_from,
            degraded=degraded,
            runs=retrieval.runs,
            candidates=candidates,
            timings=Timings(**clock.ms, total=waited_ms + clock.elapsed_ms()),
            shards_ok=retrieval.shards_ok,
            shards_total=retrieval.shards_total,
            signals=signals,
            experiments=placements(choice, written.source, candidates_from, degraded),
            shown=prompt.shown,
        )
        self._count(answer, deadline)
        self._exposures.expose(answer)
        return answer

    async def _read(
        self, request: InterestRequest, deadline: Deadline
    ) -> tuple[UserState, tuple[Degraded, ...]]:
        until = deadline.signals_until_begun_at(asyncio.get_running_loop().time())
        try:
            state = await self._store.get(request.user_id, until)
        except SignalsUnavailable:
            return UserState(), (Degraded.SIGNALS_UNAVAILABLE,)
        return state, (Degraded.SIGNALS_CORRUPT,) if state.corrupt else ()

    async def _write(
        self,
        request: InterestRequest,
        student: ServingStudent,
        signals: tuple[Signal, ...],
        state: UserState,
        prompt: Prompt,
        deadline: Deadline,
    ) -> QueryList:
        turn = GenerationRequest(
            user_id=request.user_id,
            student=student.spec,
            signals=signals,
            prompt=prompt,
            fingerprint=student.fingerprint(prompt.shown),
            max_queries=request.max_queries,
            read_at_ms=state.read_at_ms,
            kept=state.kept,
            may_keep=state.read_at_ms > 0 and not request.signals and request.variant is None,
        )
        return await student.generator.generate(turn, deadline.generate_until)

    async def _search(
        self, queries: tuple[Query, ...], size: int, filters: Filters, deadline: Deadline
    ) -> tuple[Retrieval, tuple[Degraded, ...]]:
        if not queries:
            return Retrieval(runs=(), shards_ok=0, shards_total=0), ()
        try:
            retrieval = await self._retriever.search(
                queries, size, filters, deadline.retrieve_until
            )
        except RetrievalError as error:
            failed = tuple(_failed_run(query) for query in queries)
            return Retrieval(failed, 0, 0), (Degraded(error.reason),)
        return retrieval, retrieval.degraded

    def _merge(
        self,
        request: InterestRequest,
        signals: tuple[Signal, ...],
        retrieval: Retrieval,
        filters: Filters,
        now_ms: int,
        fusion: FusionSettings,
    ) -> tuple[CandidateSource, tuple[Candidate, ...]]:
        """Fused candidates, what is popular among them."""
        # As many as signals are kept, so comparing with all of them is bounded.
        clicks = [signal for signal in signals if signal.domain == "news"]
        candidates = fuse(
            retrieval.runs,
            limit=request.limit,
            now_ms=now_ms,
            exclude=request.exclude_ids | {click.item for click in clicks if click.item},
            settings=fusion,
            read=tuple(dict.fromkeys(click.text for click in clicks)),
            popular=self._popular.hits(filters),
        )
        if not (candidates or self._popular.available or any(run.ok for run in retrieval.runs)):
            raise NothingToServe("the article index does not answer and nothing popular is kept")
        found = any(candidate.origin == CandidateSource.SEARCH for candidate in candidates)
        return CandidateSource.SEARCH if found else CandidateSource.POPULAR, candidates

    def _count(self, answer: InterestAnswer, deadline: Deadline) -> None:
        metrics = self._metrics
        metrics.queries_from.labels(answer.student.key, answer.queries_from).inc()
        metrics.candidates_from.labels(answer.candidates_from).inc()
        for reason in answer.degraded:
            metrics.degraded.labels(reason).inc()
        metrics.placed(answer.experiments)
        metrics.overrun.observe(max(0.0, -deadline.remaining_s()))


def _with_own_signals(
    written: tuple[Query, ...], signals: tuple[Signal, ...], settings: PipelineSettings
) -> tuple[Query, ...]:
    """The list as served: what was written, and the newest signals that it does not name."""
    return beside(written, signals, settings.own_signals, settings.own_weight, settings.language)


def _empty(candidates: tuple[Candidate, ...]) -> tuple[Degraded, ...]:
    """Why there is no candidate though everything answered: none passes the filters."""
    return () if candidates else (Degraded.NO_CANDIDATES,)


def _filters(request: InterestRequest, now_ms: int) -> Filters:
    """No articles from the future, and none older than the request wants."""
    until_ms = now_ms + CLOCK_SKEW_MS
    after_ms = None
    if request.max_age_hours is not None:
        oldest_ms = now_ms - int(request.max_age_hours * _HOUR_MS)
        after_ms = max(0, oldest_ms - oldest_ms % _MINUTE_MS)
    return Filters(after_ms, until_ms - until_ms % _MINUTE_MS)


def _failed_run(query: Query) -> Run:
    return Run(query=query, hits=(), ok=False)
