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

from tantivy import DocAddress, FieldType, Occur, Query, Searcher, TextAnalyzer

from service.errors import RetrievalTimeout, RetrievalUnavailable
from service.limits import fits_article_id
from service.patience import result_by
from service.records import Filters, Hit, IndexAnswer, Remark
from service.retrieval.indexes import tantivy_files as files
from service.retrieval.indexes.analysis import FIELDS, K1, bounded, build_analyzer
from service.retrieval.indexes.tantivy_copy import private_copy

T = TypeVar("T")

_SPARE = 16
_MOST_TIED = 4096


@dataclass(frozen=True, slots=True)
class _Snapshot:
    stamp: str
    searcher: Searcher


class TantivyIndex:
    """An `ArticleIndex` over a folder that other processes may load into at any time.

    Every call looks whether the folder has a new generation or commit (two system calls), so what
    was loaded is found at once. The first that finds one opens a private copy of it; the others go
    on with what was open before, as all do while the new one cannot be opened: `check` and
    `generation` then say why. Searches run in `threads` threads of its own.
    """

    def __init__(self, folder: Path, *, threads: int = 4) -> None:
        self._folder = folder
        self._analyzer = build_analyzer()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="article-index")
        self._opening = Lock()
        self._snapshot: _Snapshot | None = None
        self._refused: tuple[object, str] | None = None
        """The state of the files that were found damaged, and what was said of them."""

    async def search(
        self, texts: Sequence[str], size: int, filters: Filters, until: float
    ) -> IndexAnswer:
        """Search the texts one after the other; those not reached by `until` are None.

        Raises `RetrievalTimeout` when none was reached, and `RetrievalUnavailable`.
        """
        if not texts:
            return IndexAnswer(())
        found: list[tuple[Hit, ...]] = []
        odd = 0
        stop_at = time.monotonic() + until - asyncio.get_running_loop().time()

        def work() -> None:
            nonlocal odd
            searcher = self._open().searcher
            for text in texts:
                if time.monotonic() >= stop_at:
                    return
                hits = search(searcher, self._analyzer, text, size, filters)
                found.append(_served(hits))
                odd += len(hits) - len(found[-1])

        try:
            await self._run(work, until)
        except RetrievalTimeout:
            if not found:
                raise
        done = tuple(found)
        if not done:
            raise RetrievalTimeout("the embedded index had no time to search")
        missed = len(texts) - len(done)
        return IndexAnswer(hits=done + (None,) * missed, timed_out=missed > 0, odd=odd)

    async def popular(self, size: int, until: float) -> tuple[Hit, ...]:
        """The articles with the highest popularity, newest first among equals."""
        return await self._run(lambda: _served(popular(self._open().searcher, size)), until)

    async def generation(self, until: float) -> str:
        """The generation that is open, and its last commit. Raises what `check` does."""
        return await self._run(lambda: self._current().stamp, until)

    async def check(self, until: float) -> None:
        """Return if there is an index that our definition built, and it is whole."""
        await self._run(self._current, until)

    async def remarks(self, until: float) -> tuple[Remark, ...]:
        """None: nobody but our own commands writes here."""
        return ()

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

    def _open(self) -> _Snapshot:
        """What is live now, or what was before while that cannot be opened."""
        try:
            return self._current()
        except RetrievalUnavailable:
            if (before := self._snapshot) is None:
                raise
            return before

    def _current(self) -> _Snapshot:
        """What is live now. It is opened in one thread only: others wait if nothing is open yet."""
        for once_more in (True, False):
            try:
                return self._look()
            except (OSError, ValueError) as error:
                # A load may replace the generation between our look at the link and at its files.
                if not once_more:
                    raise RetrievalUnavailable(
                        f"the article index in {self._folder} cannot be opened: {error}; mend "
                        "that, or load the articles again with `interests index load FILE…`"
                    ) from error
        raise AssertionError("unreachable")

    def _look(self) -> _Snapshot:
        generation = files.live(self._folder)
        now = files.stamp(generation)
        known = self._snapshot
        if known is not None and known.stamp == now:
            return known
        if known is None:
            self._opening.acquire()
        elif not self._opening.acquire(blocking=False):
            return known
        try:
            known = self._snapshot
            if known is None or known.stamp != now:
                known = self._snapshot = _Snapshot(now, self._searcher(generation))
            return known
        finally:
            self._opening.release()

    def _searcher(self, generation: Path) -> Searcher:
        """A searcher over a copy. What was found damaged is read again once it has changed."""
        state = files.state(generation)
        if self._refused is not None and self._refused[0] == state:
            raise RetrievalUnavailable(self._refused[1])
        try:
            files.require_our_definition(generation)
            with private_copy(generation) as copy:
                index = files.open_files(copy)
                index.reload()
                return index.searcher()
        except RetrievalUnavailable as error:
            self._refused = state, str(error)
            raise


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


def _served(hits: tuple[Hit, ...]) -> tuple[Hit, ...]:
    """Without those of earlier versions' loads whose ids are longer than they may be now."""
    return tuple([hit for hit in hits if fits_article_id(hit.id)])


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
