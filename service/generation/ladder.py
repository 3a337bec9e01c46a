"""The ladder of query sources: reused or fresh → stale → heuristic → none. It always answers.

`HeuristicGenerator` stands on its lower rungs from the start.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from service.errors import GenerationError, GenerationUnavailable
from service.generation.heuristic import heuristic_queries
from service.generation.reuse import is_younger
from service.languages import ENGLISH, Language
from service.protocols import Generator
from service.records import Degraded, GenerationRequest, KeptList, QueryList, QuerySource
from service.words.noise import telling_text

HEARD = 64
"""Newest signals that the heuristic reads: its time grows with the square of their number, and it
runs for everybody at once when the engines are gone."""

_GRACE_S = 0.1
"""Seconds beyond the deadline after which a list is given up."""

_log = logging.getLogger(__name__)


class NoEngine:
    """The generator of a student without engines: its requests go down the ladder."""

    async def generate(self, request: GenerationRequest, until: float) -> QueryList:
        """Raise `GenerationUnavailable`."""
        raise GenerationUnavailable(f"no engine is configured for {request.student.key}")


class HeuristicGenerator:
    """Writes every list by the heuristic: no engine is asked, no kept list is looked at."""

    def __init__(self, language: Language = ENGLISH) -> None:
        self._language = language

    async def generate(self, request: GenerationRequest, until: float) -> QueryList:
        """At most `max_queries` queries of the newest signals. Never raises."""
        if not _tell(request, self._language):
            return _NOTHING_KNOWN
        return _from_signals(request, self._language)


class TopRung:
    """The ladder's best rung alone: what `fresh` gives, where there is anything to write of."""

    def __init__(self, fresh: Generator, language: Language = ENGLISH) -> None:
        self._fresh = fresh
        self._language = language

    async def generate(self, request: GenerationRequest, until: float) -> QueryList:
        """At most `max_queries` queries. Raises what `fresh` raises."""
        if not _tell(request, self._language):
            return _NOTHING_KNOWN
        return await self._fresh.generate(request, until)


class LadderGenerator:
    """Takes what `fresh` (reused or fresh lists) gives, or the best rung below it. Never raises.

    Below it come a kept list of the same student that is no older than `stale_max_age_s`, whatever
    signals it was written from; then the heuristic.
    """

    def __init__(
        self,
        fresh: Generator,
        stale_max_age_s: float,
        language: Language = ENGLISH,
    ) -> None:
        self._fresh = fresh
        self._stale_max_age_s = stale_max_age_s
        self._language = language

    async def generate(self, request: GenerationRequest, until: float) -> QueryList:
        """At most `max_queries` queries, and the reasons why they are not from a higher rung."""
        if not _tell(request, self._language):
            return _NOTHING_KNOWN
        try:
            # Whatever writes the list stops by `until` by itself; should it not, the caller still
            # gets an answer.
            async with asyncio.timeout_at(until + _GRACE_S):
                return await self._fresh.generate(request, until)
        except TimeoutError:
            _log.error("writing a list did not stop by its deadline")
            reason = Degraded.GENERATION_TIMEOUT
        except GenerationError as error:
            _log.debug("no fresh list: %s", error)
            reason = Degraded(error.reason)
        except Exception:
            _log.exception("writing a list failed in a way that was not foreseen")
            reason = Degraded.GENERATION_UNAVAILABLE
        return self._below(request, reason)

    def _below(self, request: GenerationRequest, reason: Degraded) -> QueryList:
        if stale := self._newest_kept(request):
            queries = stale.queries[: request.max_queries]
            return QueryList(queries, QuerySource.STALE, (reason,))
        return replace(_from_signals(request, self._language), degraded=(reason,))

    def _newest_kept(self, request: GenerationRequest) -> KeptList | None:
        usable = [
            kept
            for kept in request.kept
            if kept.student == request.student.list_key
            and is_younger(kept, self._stale_max_age_s, request.read_at_ms)
        ]
        return max(usable, key=lambda kept: kept.made_at_ms, default=None)


_NOTHING_KNOWN = QueryList((), QuerySource.NONE, (Degraded.NO_SIGNALS,))


def _tell(request: GenerationRequest, language: Language) -> bool:
    """Whether any signal says something that could find news."""
    return any(telling_text(s.text, s.domain, language) for s in request.signals)


def _from_signals(request: GenerationRequest, language: Language) -> QueryList:
    try:
        newest = request.signals[-HEARD:]
        queries = heuristic_queries(newest, request.max_queries, language)
    except Exception:
        _log.exception("the heuristic failed")
        queries = ()
    return QueryList(queries, QuerySource.HEURISTIC if queries else QuerySource.NONE)
