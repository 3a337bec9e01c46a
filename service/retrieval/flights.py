"""Searches under way, shared by all requests that want one of their texts.

A flight is one `ArticleIndex.search` for several keys. It belongs to everybody who waits for it,
not to the request that began it: a waiter that leaves takes nothing from the others, and when the
last one has left the search is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.errors import RetrievalError, RetrievalTimeout, RetrievalUnavailable
from service.records import Hit, IndexAnswer
from service.shared_work import SharedWork

log = logging.getLogger(__name__)

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Found:
    """What one text found, by words and by meaning."""

    hits: Sequence[Hit]
    near: Sequence[Hit] = ()


class Flight(Generic[Key]):
    """One search: its keys, and once it has ended its answer or its error."""

    work: SharedWork[None]

    def __init__(self, keys: Sequence[Key]) -> None:
        self.keys = tuple(keys)
        self.found: dict[Key, Found] = {}
        """The keys that were answered."""
        self.answer: IndexAnswer | None = None
        self.error: RetrievalError | None = None

    @property
    def complete(self) -> bool:
        """Whether every shard answered in time."""
        answer = self.answer
        return (
            answer is not None and not answer.timed_out and answer.shards_ok == answer.shards_total
        )

    @property
    def may_be_kept(self) -> bool:
        """Whether the same search would bring the same a moment later."""
        return self.complete and self.answer is not None and not self.answer.unencoded

    @property
    def ran_out_of_time(self) -> bool:
        """Whether it ended on its deadline rather than by the index's fault."""
        if self.answer is not None:
            return self.answer.timed_out
        return isinstance(self.error, RetrievalTimeout)


class Flights(Generic[Key]):
    """The flights in the air, by key."""

    def __init__(self) -> None:
        self._by_key: dict[Key, Flight[Key]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def find(self, key: Key) -> Flight[Key] | None:
        """The flight that will bring this key, if one is in the air."""
        return self._by_key.get(key)

    def begin(
        self,
        keys: Sequence[Key],
        search: Callable[[], Awaitable[IndexAnswer]],
        *,
        landed: Callable[[Flight[Key]], None],
    ) -> Flight[Key]:
        """Start a search; its hits come in the order of `keys`. `landed` is called on success.

        Once closed none is started: the flight ends with `RetrievalUnavailable`.
        """
        flight = Flight(keys)
        flight.work = SharedWork(
            self._fly(flight, search, landed), ends_when_left=True, name="index-search"
        )
        self._tasks.add(flight.work.task)
        flight.work.task.add_done_callback(self._tasks.discard)
        for key in flight.keys:
            self._by_key[key] = flight
        return flight

    def leave(self, flights: Iterable[Flight[Key]]) -> None:
        """Stop waiting for these; a search that nobody waits for any more is cancelled."""
        for flight in flights:
            if flight.work.leave():
                self._ground(flight)

    async def aclose(self) -> None:
        """Cancel what is still in the air. Nothing is when it returns, nor will be later."""
        self._closed = True
        # A task that is cancelled before its first step never comes to its own end.
        self._by_key.clear()
        for task in self._tasks:
            task.cancel()
        while self._tasks:  # those that began meanwhile end by themselves
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _fly(
        self,
        flight: Flight[Key],
        search: Callable[[], Awaitable[IndexAnswer]],
        landed: Callable[[Flight[Key]], None],
    ) -> None:
        try:
            if self._closed:
                raise RetrievalUnavailable("the gateway is stopping")
            answer = await search()
            near = answer.near or ((),) * len(flight.keys)
            for key, hits, nearest in zip(flight.keys, answer.hits, near, strict=True):
                if hits is not None:
                    flight.found[key] = Found(hits, nearest)
            flight.answer = answer
            landed(flight)
        except RetrievalError as error:
            flight.error = error
        except Exception as error:
            log.exception("the article index failed in a way it should not")
            flight.error = RetrievalUnavailable(f"the article index failed: {error!r}")
        finally:
            self._ground(flight)

    def _ground(self, flight: Flight[Key]) -> None:
        for key in flight.keys:
            if self._by_key.get(key) is flight:
                del self._by_key[key]
