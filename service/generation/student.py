"""Fresh lists: a prompt to the student's engines, and their samples to queries."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from service.errors import GenerationInvalid, GenerationTimeout, GenerationUnavailable
from service.generation.engines.calls import Call, Completion, OnLate
from service.generation.reuse import Keep, keep_quietly
from service.generation.samples import agreed_list
from service.languages import ENGLISH, Language
from service.records import (
    Degraded,
    GenerationRequest,
    KeptList,
    Query,
    QueryList,
    QuerySource,
)
from service.telemetry import Metrics

_NOTHING = Completion((), False, 0, 0, 0, "")


class Completer(Protocol):
    """Runs calls on engines: `service.generation.engines.dispatch.Dispatcher`."""

    async def complete(self, call: Call, until: float, on_late: OnLate | None = None) -> Completion:
        """The call's completion, or what there is of it at `until`. Raises `GenerationError`."""
        ...


class StudentGenerator:
    """Writes lists with a student. What the deadline or the engine cut off is used as far as it
    goes.

    A completion that comes after the deadline is kept (where the request allows it), so that the
    user's next request finds it. `blocked` are lines that are no queries though a student may echo
    them: those of its template.
    """

    def __init__(
        self,
        completer: Completer,
        metrics: Metrics,
        keep: Keep,
        *,
        blocked: Collection[str] = (),
        language: Language = ENGLISH,
    ) -> None:
        self._completer = completer
        self._metrics = metrics
        self._keep = keep
        self._blocked = blocked
        self._language = language

    async def generate(self, request: GenerationRequest, until: float) -> QueryList:
        """At most `max_queries` queries, by consensus of the samples.

        Raises `GenerationTimeout`, `GenerationUnavailable`, `GenerationOverloaded`, and
        `GenerationInvalid` when no sample holds a query.
        """
        counted = _NOTHING

        async def keep_late(completion: Completion) -> None:
            self._count(request, completion, counted)
            try:
                queries = self._read(request, completion)
            except GenerationInvalid:
                return
            list_key = request.student.list_key
            kept = KeptList(list_key, request.fingerprint, request.read_at_ms, queries)
            await keep_quietly(self._keep, request.user_id, kept)

        student = request.student
        call = Call(request.prompt.token_ids, student.model, student.decoding, request.user_id)
        completion = await self._completer.complete(
            call, until, keep_late if request.may_keep else None
        )
        self._count(request, completion, counted)
        counted = completion
        return QueryList(
            self._read(request, completion),
            QuerySource.FRESH,
            () if completion.finished else (Degraded.GENERATION_PARTIAL,),
        )

    def _read(self, request: GenerationRequest, completion: Completion) -> tuple[Query, ...]:
        queries = agreed_list(
            completion.samples,
            request.prompt.shown,
            max_queries=request.max_queries,
            blocked=self._blocked,
            language=self._language,
        )
        if not queries and completion.cut_by_engine:
            raise GenerationUnavailable("the engine broke off before the first query was whole")
        if not queries and not completion.finished:
            raise GenerationTimeout("the deadline came before the first query was whole")
        if not queries:
            raise GenerationInvalid(
                f"none of {len(completion.samples)} samples of {request.student.key} holds a query"
            )
        return queries

    def _count(self, request: GenerationRequest, seen: Completion, counted: Completion) -> None:
        """Count the tokens of a completion, less those `counted` when a part of it was served."""
        for kind in ("prompt", "cached", "output"):
            more = getattr(seen, f"{kind}_tokens") - getattr(counted, f"{kind}_tokens")
            self._metrics.tokens.labels(request.student.key, kind).inc(max(0, more))
