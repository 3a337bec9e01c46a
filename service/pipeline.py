"""A request, from top to bottom: signals → queries → articles → candidates, within one deadline.

The pipeline hands records from one stage to the next; the stages do not know each other. Whatever
fails is noted in `degraded` and the request goes on with what it has: only when there is neither a
hit nor a popular article does it raise `NothingToServe`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from service.choice import Choice, Chooser, ServingStudent, placements
from service.errors import SignalsUnavailable
from service.identity import Identity
from service.limits import Deadline
from service.overload.load import Load
from service.protocols import ExposureSink, SignalStore
from service.records import (
    Degraded,
    InterestAnswer,
    InterestRequest,
    Prompt,
    QueryList,
    Signal,
    Timings,
    UserState,
)
from service.signals.merge import merge
from service.signals.times import not_ahead
from service.stages import StageClock
from service.steps import Steps, as_searched, filters_of, missing, turn_of
from service.telemetry import Metrics


class InterestPipeline:
    """Answers requests. Everything it calls is passed in; `service/parts.py` composes it."""

    def __init__(
        self,
        *,
        store: SignalStore,
        chooser: Chooser,
        steps: Steps,
        identity: Identity,
        exposures: ExposureSink,
        load: Load,
        metrics: Metrics,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self._store = store
        self._chooser = chooser
        self._steps = steps
        self._identity = identity
        self._exposures = exposures
        self._load = load
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

        await self._load.run_queue.turn(total_s=deadline.total_s)
        with self._metrics.timed("generate", clock) as span:
            # Whatever the student writes, these are searched: the encoder reads them meanwhile.
            self._steps.prepare(signals, settings, deadline.retrieve_until)
            prompt = student.render(signals)
            written = await self._write(request, student, signals, state, prompt, deadline)
            self._metrics.failed("generate", written.degraded)
            queries_from, count = str(written.source), len(written.queries)
            span.note(student=student.spec.key, queries_from=queries_from, queries=count)

        with self._metrics.timed("retrieve", clock) as span:
            queries = as_searched(written.queries, signals, settings)
            filters = filters_of(request, now_ms)
            retrieval, index_notes = await self._steps.search(
                queries, settings.hits_per_query, filters, deadline.retrieve_until
            )
            self._metrics.failed("retrieve", index_notes)
            self._metrics.covered(retrieval)
            answered = sum(run.ok for run in retrieval.runs)
            span.note(queries=len(queries), queries_answered=answered)

        if not retrieval.kept:  # where it is, next to nothing is left to compute
            await self._load.run_queue.turn(finishing=True)
        with self._metrics.timed("fuse", clock) as span:
            candidates_from, candidates = self._steps.merge(
                request, signals, retrieval, filters, now_ms, settings.fusion
            )
            span.note(candidates_from=str(candidates_from), candidates=len(candidates))

        degraded = tuple(
            dict.fromkeys((*store_notes, *written.degraded, *index_notes, *missing(candidates)))
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
            written=written.queries,
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
        may_keep = state.read_at_ms > 0 and not request.signals and request.variant is None
        turn = turn_of(request, student, signals, prompt, state, may_keep=may_keep)
        with self._load.admission.standing_aside():
            return await student.generator.generate(turn, deadline.generate_until)

    def _count(self, answer: InterestAnswer, deadline: Deadline) -> None:
        metrics = self._metrics
        metrics.series(metrics.queries_from, answer.student.key, answer.queries_from).inc()
        metrics.series(metrics.candidates_from, answer.candidates_from).inc()
        for reason in answer.degraded:
            metrics.series(metrics.degraded, reason).inc()
        metrics.placed(answer.experiments)
        metrics.overrun.observe(max(0.0, -deadline.remaining_s()))
