"""Results of queries, kept for as long as the index has not changed, and shared while in flight.

A look-up sorts the texts of a request into three: *hits* (known), *shared* (another request is
searching them at this moment) and *misses* (searched now, all in one call to the index).

A key holds the text as the index's analysis sees it, the index's generation, the filters and the
size. The generation is polled in the background (`watch`); while it cannot be confirmed nothing
is answered from the cache, except in place of a search that failed (stale-if-error, RFC 5861).
So an article that was added, changed or removed shows up at most two polls later, and an index
that is down still answers what was asked lately.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cachetools import LRUCache

from service.records import Filters, Query
from service.retrieval.flights import Flight, Flights, Found
from service.retrieval.meaning import IndexSearch
from service.retrieval.watch import IndexWatch


class Key(NamedTuple):
    """What a result depends on."""

    text: str
    generation: str | None
    size: int
    filters: Filters
    encoder: str = ""
    said: str = ""
    """What is encoded, where there is an encoder."""


def normalise(text: str) -> str:
    """The text as far as the index can tell it from others: case and spacing don't count."""
    return " ".join(text.lower().split())


@dataclass(frozen=True, slots=True)
class Kept:
    """A complete result in the cache."""

    found: Found
    shards: int
    expires: float


class QueryCache:
    """Least recently used first out, at most `size` results, each for at most `ttl_s` seconds.

    A size of 0 turns it off: nothing is kept, nothing is shared.
    """

    def __init__(self, watch: IndexWatch, *, size: int, ttl_s: float) -> None:
        self._watch = watch
        self._size = size
        self._ttl_s = ttl_s
        self._kept: LRUCache[Key, Kept] = LRUCache(size)
        self._flights: Flights[Key] = Flights()
        watch.on_change(self._kept.clear)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def enabled(self) -> bool:
        """Whether anything is kept or shared."""
        return self._size > 0

    @property
    def generation(self) -> str | None:
        """The index's generation as far as it is known."""
        return self._watch.generation

    def answers(self, expires: float) -> bool:
        """Whether what expires then may be answered now, of the generation that is known."""
        return self._watch.fresh and asyncio.get_running_loop().time() < expires

    def key(self, query: Query, size: int, filters: Filters, encoder: str = "") -> Key:
        """The key of a query now; `encoder` is the one that it is encoded by, if any."""
        text, said = normalise(query.text), normalise(query.meaning) if encoder else ""
        return Key(text, self._watch.generation, size, filters, encoder, said)

    def get(self, key: Key) -> Kept | None:
        """A result that is up to date."""
        return self.get_stale(key) if self._watch.fresh else None

    def get_stale(self, key: Key) -> Kept | None:
        """A result not older than `ttl_s`: for when the index itself does not answer."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.expires <= asyncio.get_running_loop().time():
            del self._kept[key]
            return None
        return kept

    def in_flight(self, key: Key) -> Flight[Key] | None:
        """The search that will answer this key, if one is under way."""
        return self._flights.find(key) if self.enabled else None

    def search(
        self,
        index: IndexSearch,
        wanted: Sequence[tuple[Key, Query]],
        until: float,
    ) -> Flight[Key]:
        """Begin one search for all `wanted` (all of one size and filters); keep what it brings."""
        first = wanted[0][0]
        began = asyncio.get_running_loop().time()
        queries = [query for _, query in wanted]
        return self._flights.begin(
            [key for key, _ in wanted],
            lambda: index.search(queries, first.size, first.filters, until),
            landed=lambda flight: self._keep(flight, began),
        )

    def leave(self, flights: Sequence[Flight[Key]]) -> None:
        """Stop waiting for these searches."""
        self._flights.leave(flights)

    async def aclose(self) -> None:
        """Cancel the searches under way and forget everything."""
        await self._flights.aclose()
        self._kept.clear()

    def _keep(self, flight: Flight[Key], began: float) -> None:
        if not self.enabled or not flight.may_be_kept or flight.answer is None:
            return
        # Counted from the start of the search: what it read may have changed right after.
        expires = began + self._ttl_s
        for key, found in flight.found.items():
            if key.generation is None or key.generation != self._watch.generation:
                continue
            self._kept[key] = Kept(found, flight.answer.shards_total, expires)
