"""Answers a request's queries: from the cache, from searches under way, from one search of its own.

Every request keeps its own deadline, also over a search that another one began: it leaves when its
time is up and takes what is there.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from service.errors import RetrievalError, RetrievalTimeout, RetrievalUnavailable
from service.patience import wait_by
from service.records import Degraded, Filters, Query, Retrieval, Run
from service.remembered import Remembered
from service.retrieval.cache import Key, QueryCache
from service.retrieval.flights import Flight, Found
from service.retrieval.meaning import IndexSearch
from service.telemetry import Metrics


@dataclass(frozen=True, slots=True)
class _Answered:
    """What the cache alone answered to a request's queries, and until when it may again."""

    retrieval: Retrieval
    texts: int
    """Distinct ones."""
    expires: float


class IndexRetriever:
    """A `Retriever` over an article index."""

    def __init__(self, index: IndexSearch, cache: QueryCache, metrics: Metrics) -> None:
        self._index = index
        self._cache = cache
        self._odd = metrics.odd_articles
        self._hit, self._miss, self._shared = (
            metrics.cache.labels(outcome) for outcome in ("hit", "miss", "shared")
        )
        self._answered: Remembered[_Answered] = Remembered()

    def prepare(self, queries: Sequence[Query], until: float) -> None:
        """Have the queries' texts encoded by the time they are searched."""
        self._index.prepare(queries, until)

    async def search(
        self, queries: Sequence[Query], size: int, filters: Filters, until: float
    ) -> Retrieval:
        """Search all queries, `size` hits each, in one round trip at the most.

        Runs come in the order of the queries; texts that differ in case or spacing only are
        searched once. When only some could be answered completely, `degraded` says so. Raises
        `RetrievalTimeout` or `RetrievalUnavailable` when none could be answered.
        """
        if not queries:
            return Retrieval(runs=())
        asked = (size, filters, self._cache.generation)
        before = self._answered.get((queries,), asked)
        if before is not None and self._cache.answers(before.expires):
            self._hit.inc(before.texts)
            return before.retrieval
        encoder = self._index.encoder_key
        keys = [self._cache.key(query, size, filters, encoder) for query in queries]
        wanted: dict[Key, Query] = {}
        for key, query in zip(keys, queries, strict=True):
            wanted.setdefault(key, query)
        turn = _Turn()
        expires = self._take_known(wanted, turn)
        try:
            await self._fetch(wanted, turn, until)
        finally:
            self._cache.leave(turn.boarded)
        self._take_stale(wanted, turn)
        if not turn.found:
            raise turn.error()
        runs = tuple(
            [
                Run(query, found.hits, near=found.near)
                if (found := turn.found.get(key))
                else Run(query, (), ok=False)
                for key, query in zip(keys, queries, strict=True)
            ]
        )
        if expires is None:
            return Retrieval(runs, turn.shards_ok, turn.shards_total, turn.degraded())
        retrieval = Retrieval(runs, turn.shards_ok, turn.shards_total, kept=True)
        self._answered.put(_Answered(retrieval, len(wanted), expires), (queries,), asked)
        return retrieval

    def _take_known(self, wanted: dict[Key, Query], turn: _Turn) -> float | None:
        """Take what the cache has. Returns until when it has all of it, where it does."""
        if not self._cache.enabled:
            return None
        expires = math.inf
        for key in wanted:
            if kept := self._cache.get(key):
                turn.found[key] = kept.found
                turn.count_shards(kept.shards, kept.shards)
                expires = min(expires, kept.expires)
                self._hit.inc()
            elif self._cache.in_flight(key):
                self._shared.inc()
            else:
                self._miss.inc()
        return expires if len(turn.found) == len(wanted) else None

    def _take_stale(self, wanted: dict[Key, Query], turn: _Turn) -> None:
        for key in wanted:
            if key not in turn.found:
                turn.partial = True
                if kept := self._cache.get_stale(key):
                    turn.found[key] = kept.found

    async def _fetch(self, wanted: dict[Key, Query], turn: _Turn, until: float) -> None:
        """Join and begin searches until all have ended, or the time is up.

        A search may have ended on the shorter deadline of the request that began it. What it left
        open is then searched once more, with ours.
        """
        loop = asyncio.get_running_loop()
        pending = [key for key in wanted if key not in turn.found]
        while pending:
            if loop.time() >= until:
                turn.timed_out = True
                return
            joined = {key: flight for key in pending if (flight := self._cache.in_flight(key))}
            flights = list(dict.fromkeys(joined.values()))
            if own := [(key, wanted[key]) for key in pending if key not in joined]:
                flights.append(self._cache.search(self._index, own, until))
            turn.board(flights)
            in_the_air = await wait_by([flight.work.task for flight in flights], until)
            turn.timed_out = bool(in_the_air)
            for flight in flights:
                turn.unload(flight, wanted)
                if flight.answer is not None and flight.answer.odd:
                    self._odd.inc(flight.answer.odd)
            pending = [
                key
                for key, flight in joined.items()
                if key not in turn.found and flight.ran_out_of_time
            ]


class _Turn:
    """What one request has found so far, and what went wrong."""

    def __init__(self) -> None:
        self.found: dict[Key, Found] = {}
        self.boarded: list[Flight[Key]] = []
        self.partial = False
        self.unencoded = False
        self.timed_out = False
        self.failure: RetrievalError | None = None
        self._shards: tuple[int, int] | None = None

    @property
    def shards_ok(self) -> int:
        return self._shards[0] if self._shards else 0

    @property
    def shards_total(self) -> int:
        return self._shards[1] if self._shards else 1

    def count_shards(self, ok: int, total: int) -> None:
        """Remember the worst coverage of any part of the answer."""
        worst, most = self._shards or (ok, total)
        self._shards = min(worst, ok), max(most, total)

    def board(self, flights: Sequence[Flight[Key]]) -> None:
        for flight in flights:
            flight.work.join()
            self.boarded.append(flight)

    def unload(self, flight: Flight[Key], wanted: Collection[Key]) -> None:
        """Take what a flight has brought for us, if it has ended."""
        answer = flight.answer
        if answer is None:
            self.failure = flight.error or self.failure
            self.count_shards(0, 1)
            return
        self.found.update({key: found for key, found in flight.found.items() if key in wanted})
        self.count_shards(answer.shards_ok, answer.shards_total)
        self.timed_out |= answer.timed_out
        self.partial |= not flight.complete
        self.unencoded |= answer.unencoded

    def degraded(self) -> tuple[Degraded, ...]:
        """What is missing from what was found."""
        partial = (Degraded.RETRIEVAL_PARTIAL,) if self.partial else ()
        return (*partial, Degraded.ENCODER_UNAVAILABLE) if self.unencoded else partial

    def error(self) -> RetrievalError:
        """Why nothing was found."""
        if self.timed_out or isinstance(self.failure, RetrievalTimeout):
            return RetrievalTimeout("the article index did not answer in time")
        reason = self.failure or "it answered none of the queries"
        return RetrievalUnavailable(f"the article index is unavailable: {reason}")
