"""What arms would have answered that are served to nobody, found out after the answer has left.

A shadow goes through the steps of an answer with what its arm sets, from the signals that the
answer was made of. It takes what nobody needs: it is skipped while the gateway or the student's
engines are at work, gives way on an engine as soon as a request wants its place, and is given up
after `TIME_S`. It neither uses nor keeps lists: a user's kept ones are few, and its own would take
the place of those that serve.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.choice import Choice, ShadowChoice
from service.errors import GenerationOverloaded, InterestsError, RetrievalUnavailable
from service.protocols import ShadowSink
from service.records import (
    Degraded,
    InterestAnswer,
    InterestRequest,
    QueryList,
    ShadowAnswer,
    Timings,
    UserState,
)
from service.stages import StageClock
from service.steps import Steps, as_searched, filters_of, missing, turn_of
from service.telemetry import Metrics

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Shadows in work in a process; more are skipped."""
TIME_S = 10.0
_SEARCH_S = 2.0
"""Of these, what is kept back for the search."""
_OF_SIGNALS = (Degraded.SIGNALS_UNAVAILABLE, Degraded.SIGNALS_CORRUPT)
_OF_SEARCH = (
    Degraded.RETRIEVAL_TIMEOUT,
    Degraded.RETRIEVAL_UNAVAILABLE,
    Degraded.RETRIEVAL_PARTIAL,
    Degraded.ENCODER_UNAVAILABLE,
    Degraded.NO_CANDIDATES,
)


@dataclass(frozen=True, slots=True)
class Served:
    """A request that has been answered, by what, and how."""

    request: InterestRequest
    choice: Choice
    answer: InterestAnswer
    began_ms: int
    """Before the user's signals were read."""


class Shadows:
    """Follows answers. Nothing is followed where there is no `sink` for what is found."""

    def __init__(
        self,
        *,
        steps: Steps,
        sink: ShadowSink | None,
        metrics: Metrics,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self._steps = steps
        self._sink = sink
        self._metrics = metrics
        self._now_ms = now_ms
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, served: Sequence[Served], *, idle: bool) -> None:
        """Begin the shadows of answers that have left; `idle`: whether this process has time."""
        for one in served:
            for shadow in one.choice.shadows:
                if self._sink is None or not idle or len(self._tasks) >= AT_ONCE:
                    self._count(shadow, "skipped")
                    continue
                task = asyncio.create_task(self._run(one, shadow, self._sink))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is in work."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, served: Served, shadow: ShadowChoice, sink: ShadowSink) -> None:
        outcome = "failed"
        try:
            with self._metrics.tracing.span("shadow") as span:
                span.note(student=shadow.student.spec.key)
                async with asyncio.timeout(TIME_S):
                    found = await self._find(served, shadow)
                sink.shadow(found)
            outcome = "done"
        except GenerationOverloaded:  # its engines have no room to spare, or have no more
            outcome = "skipped"
        except (InterestsError, TimeoutError) as error:
            log.debug("a shadow failed: %s", error)
        except Exception:
            log.exception("a shadow failed in a way that was not foreseen")
        self._count(shadow, outcome)

    async def _find(self, served: Served, shadow: ShadowChoice) -> ShadowAnswer:
        """What the arm would have answered. Raises `InterestsError` where it finds nothing."""
        request, answer, settings = served.request, served.answer, shadow.settings
        clock, now_ms = StageClock.start(), self._now_ms()
        until = asyncio.get_running_loop().time() + TIME_S

        with clock.timed("generate"):
            written = await self._write(served, shadow, until - _SEARCH_S)

        with clock.timed("retrieve"):
            queries = as_searched(written.queries, answer.signals, settings)
            filters = filters_of(request, now_ms)
            retrieval, index_notes = await self._steps.search(
                queries, settings.hits_per_query, filters, until
            )
            if queries and not any(run.ok for run in retrieval.runs):
                raise RetrievalUnavailable("not one query was answered")

        with clock.timed("fuse"):
            candidates_from, candidates = self._steps.merge(
                request, answer.signals, retrieval, filters, now_ms, settings.fusion
            )

        notes = (*written.degraded, *index_notes, *missing(candidates))
        place = shadow.place
        return ShadowAnswer(
            request_id=answer.request_id,
            user_id=request.user_id,
            read_at_ms=served.began_ms,
            key=place.experiment.key,
            layer=place.layer,
            arm=place.assigned,
            student=shadow.student.spec,
            queries_from=written.source,
            candidates_from=candidates_from,
            degraded=tuple(dict.fromkeys(notes)),
            runs=retrieval.runs,
            candidates=candidates,
            timings=Timings(**clock.ms, total=clock.elapsed_ms()),
        )

    async def _write(self, served: Served, shadow: ShadowChoice, until: float) -> QueryList:
        """The list of the arm: that which was served, where the arm sets nothing of lists."""
        request, answer, student = served.request, served.answer, shadow.student
        if not shadow.writes:
            notes = tuple(note for note in answer.degraded if note not in _OF_SEARCH)
            return QueryList(answer.written, answer.queries_from, notes)
        prompt = student.render(answer.signals)
        nothing_kept = UserState()
        turn = turn_of(request, student, answer.signals, prompt, nothing_kept, may_keep=False)
        written = await student.spare.generate(turn, until)
        notes = tuple(note for note in answer.degraded if note in _OF_SIGNALS)
        return QueryList(written.queries, written.source, (*notes, *written.degraded))

    def _count(self, shadow: ShadowChoice, outcome: str) -> None:
        place = shadow.place
        self._metrics.shadows.labels(place.experiment.key, place.assigned, outcome).inc()
