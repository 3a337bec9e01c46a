"""The embedded article index: tantivy on disk, the twin of the index on OpenSearch."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import log
from pathlib import Path
from threading import Lock
from typing import TypeVar

from tantivy import DocAddress, FieldType, Index, Occur, Query, Searcher, TextAnalyzer

from service.errors import RetrievalTimeout, RetrievalUnavailable
from service.patience import result_by
from service.records import Filters, Hit, IndexAnswer
from service.retrieval.indexes import tantivy_files as files
from service.retrieval.indexes.analysis import FIELDS, K1, bounded, build_analyzer

T = TypeVar("T")

_SPARE = 16
_MOST_TIED = 4096


@dataclass(frozen=True, slots=True)
class _Snapshot:
    stamp: str
    generation: Path
    index: Index
    searcher: Searcher


class TantivyIndex:
    """An `ArticleIndex` over a folder that other processes may load into at any time.

    Every call looks whether the folder has a new generation or commit (two system calls), so what
    was loaded is found at once. Searches run in `threads` threads of its own.
    """

    def __init__(self, folder: Path, *, threads: int = 4) -> None:
        self._folder = folder
        self._analyzer = build_analyzer()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="article-index")
        self._opening = Lock()
        self._snapshot: _Snapshot | None = None

    async def search(
        self, texts: Sequence[str], size: int, filters: Filters, until: float
    ) -> IndexAnswer:
        """Search the texts one after the other; those not reached by `until` are None.

        Raises `RetrievalTimeout` when none was reached, and `RetrievalUnavailable`.
        """
        if not texts:
            return IndexAnswer(())
        found: list[tuple[Hit, ...]] = []
        stop_at = time.monotonic() + until - asyncio.get_running_loop().time()

        def work() -> None:
            searcher = self._current().searcher
            for text in texts:
                if time.monotonic() >= stop_at:
                    return
                found.append(search(searcher, self._analyzer, text, size, filters))

        try:
            await self._run(work, until)
        except RetrievalTimeout:
            if not found:
                raise
        done = tuple(found)
        if not done:
            raise RetrievalTimeout("the embedded index had no time to search")
        missed = len(texts) - len(done)
        return IndexAnswer(hits=done + (None,) * missed, timed_out=missed > 0)

    async def popular(self, size: int, until: float) -> tuple[Hit, ...]:
        """The articles with the highest popularity, newest first among equals."""
        return await self._run(lambda: popular(self._current().searcher, size), until)

    async def generation(self, until: float) -> str:
        """The live generation and its last commit."""
        return await self._run(lambda: self._current().stamp, until)

    async def check(self, until: float) -> None:
        """Return if there is an index that our definition built."""
        await self._run(self._current, until)

    async def close(self) -> None:
        """Let go of threads and files."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._snapshot = None

    async def _run(self, work: Callable[[], T], until: float) -> T:
        loop = asyncio.get_running_loop()
        if loop.time() >= until:
            raise RetrievalTimeout("no time left to search")
        try:
            return await result_by(loop.run_in_executor(self._pool, work), until)
        except TimeoutError as error:
            raise RetrievalTimeout("the embedded index did not answer in time") from error

    def _current(self) -> _Snapshot:
        """What is live now. Opens and reloads in one thread only; the others wait for it."""
        for once_more in (True, False):
            try:
                return self._look()
            except (OSError, ValueError) as error:
                # A load may replace the generation between our look at the link and at its files.
                if not once_more:
                    raise RetrievalUnavailable(
                        f"the article index in {self._folder} cannot be read: {error}"
                    ) from error
        raise AssertionError("unreachable")

    def _look(self) -> _Snapshot:
        generation = files.live(self._folder)
        now = files.stamp(generation)
        known = self._snapshot
        if known is not None and known.stamp == now:
            return known
        with self._opening:
            known = self._snapshot
            if known is not None and known.stamp == now:
                return known
            same = known is not None and known.generation == generation
            index = known.index if known and same else files.open_generation(generation)
            index.reload()
            self._snapshot = _Snapshot(now, generation, index, index.searcher())
            return self._snapshot


def search(
    searcher: Searcher, analyzer: TextAnalyzer, text: str, size: int, filters: Filters
) -> tuple[Hit, ...]:
    """The best `size` articles: by score, then newest first, then by id.

    The score is Lucene's: the sum over terms and fields, without tantivy's constant factor k1 + 1.
    """
    query = _query(searcher, Counter(analyzer.analyze(bounded(text))), filters)
    if query is None:
        return ()
    limit = size + _SPARE
    while True:
        ranked: list[tuple[float, DocAddress]] = searcher.search(query, limit, count=False).hits
        # tantivy breaks ties by position in the index; to break them by date and id, all articles
        # that tie with the last place have to be seen.
        if len(ranked) < limit or ranked[-1][0] < ranked[size - 1][0] or limit > _MOST_TIED:
            break
        limit *= 4
    if len(ranked) > size:
        last = ranked[size - 1][0]
        ranked = [(score, address) for score, address in ranked if score >= last]
    return tuple(sorted((_hit(searcher, a, s) for s, a in ranked), key=_order)[:size])


def popular(searcher: Searcher, size: int) -> tuple[Hit, ...]:
    """The `size` most popular articles, newest first among equals, then by id."""
    articles = Query.term_query(files.build_schema(), files.FILLED, "title")
    ranked = searcher.search(articles, size, count=False, order_by_field="popularity").hits
    if not ranked:
        return ()
    last = ranked[-1][0]
    tied = Query.range_query(files.build_schema(), "popularity", FieldType.Float, last, last)
    tied = Query.boolean_query([(Occur.Must, articles), (Occur.Must, tied)])
    newest = searcher.search(tied, size, count=False, order_by_field="published").hits
    chosen = [address for value, address in ranked if value > last]
    chosen += [address for _, address in newest]
    hits = [_hit(searcher, address, 0.0) for address in chosen]
    return tuple(sorted(hits, key=lambda hit: (-hit.popularity, *_order(hit)))[:size])


def _query(searcher: Searcher, terms: Mapping[str, int], filters: Filters) -> Query | None:
    """The sum over fields and terms; built from terms, so nothing in a text is query syntax.

    A term's weight in a field is Lucene's: its rarity among the articles that have the field.
    """
    schema = files.build_schema()
    # Deleted documents count until their segment is merged, in tantivy's statistics and in these.
    documents = searcher.doc_freq(files.FILLED, files.ANY)
    clauses = []
    for field, boost in FIELDS:
        filled = searcher.doc_freq(files.FILLED, field)
        for term, count in terms.items():
            if found := searcher.doc_freq(field, term):
                weight = boost * count / (K1 + 1)
                weight *= _rarity(filled, found) / _rarity(documents, found)
                clause = Query.term_query(schema, field, term, index_option="freq")
                clauses.append((Occur.Should, Query.boost_query(clause, weight)))
    if not clauses:
        return None
    query = Query.boolean_query(clauses)
    bounds = []
    if (after := filters.published_after_ms) is not None:
        newer = Query.range_query(schema, "published", FieldType.Integer, after, None)
        bounds.append((Occur.Must, Query.const_score_query(newer, 0.0)))
    if (until := filters.published_until_ms) is not None:
        ahead = Query.range_query(
            schema, "published", FieldType.Integer, until, None, include_lower=False
        )
        bounds.append((Occur.MustNot, ahead))
    return Query.boolean_query([(Occur.Must, query), *bounds]) if bounds else query


def _rarity(documents: int, found: int) -> float:
    """BM25's inverse document frequency."""
    return log(1 + (documents - found + 0.5) / (found + 0.5))


def _order(hit: Hit) -> tuple[float, int, str]:
    return -hit.score, -hit.published_ms, hit.id


def _hit(searcher: Searcher, address: DocAddress, score: float) -> Hit:
    fields = searcher.doc(address).to_dict()
    return Hit(
        id=fields["id"][0],
        title=fields["title"][0],
        category=fields["category"][0],
        published_ms=fields["published"][0],
        popularity=fields["popularity"][0],
        score=score,
    )
