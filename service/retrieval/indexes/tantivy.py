"""The embedded article index: tantivy on disk, the twin of the index on OpenSearch."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from tantivy import DocAddress, FieldType, Occur, Query, Searcher, TextAnalyzer

from service.errors import RetrievalTimeout
from service.languages import ENGLISH, Language
from service.limits import ARTICLE_ID_BYTES, fits_article_id
from service.patience import result_by
from service.protocols import Encoding
from service.records import Encoded, Filters, IndexAnswer, Remark
from service.retrieval.articles import Floats, Hits
from service.retrieval.indexes import tantivy_files as files
from service.retrieval.indexes.analysis import bounded, build_analyzer
from service.retrieval.indexes.tantivy_hits import Documents
from service.retrieval.indexes.tantivy_near import comparable, nearest
from service.retrieval.indexes.tantivy_query import Clauses
from service.retrieval.indexes.tantivy_snapshots import Snapshot, Snapshots
from service.retrieval.indexes.tantivy_vectors import Table

T = TypeVar("T")

_SPARE = 16
_SHORT = ARTICLE_ID_BYTES // 4
"""Characters of an id that fit, whatever letters they are."""
_MOST_TIED = 4096
_MOST_TEXTS = 4096
"""Texts whose words are kept: users' own signals come again with each of their requests."""


@dataclass(slots=True)
class _Found:
    """What a search has found so far: it may be left when its time is up."""

    hits: list[Hits] = field(default_factory=list)
    near: tuple[Hits, ...] | None = None
    """None until all texts have been compared with the vectors."""
    snapshot: Snapshot | None = None
    """What is searched, by words and by meaning alike."""
    odd: int = 0

    @property
    def table(self) -> Table | None:
        """The vectors of what is searched."""
        return self.snapshot.table if self.snapshot else None

    def served(self, hits: Hits) -> Hits:
        """Those that may be served; the others are counted."""
        served = _served(hits)
        self.odd += len(hits) - len(served)
        return served


class TantivyIndex:
    """An `ArticleIndex` over a folder that other processes may load into at any time.

    Every call looks whether the folder has a new generation or commit (two system calls), so what
    was loaded is found at once. The first that finds one opens a private copy of it; the others go
    on with what was open before, as all do while the new one cannot be opened: `check` and
    `generation` then say why. Searches run in `threads` threads of its own.
    """

    def __init__(self, folder: Path, *, threads: int = 4, language: Language = ENGLISH) -> None:
        self._terms = lru_cache(_MOST_TEXTS)(partial(terms_of, build_analyzer(language)))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="article-index")
        self._snapshots = Snapshots(folder, language)

    async def search(
        self,
        texts: Sequence[str],
        size: int,
        filters: Filters,
        until: float,
        encoded: Encoding = None,
    ) -> IndexAnswer:
        """Search the texts one after the other by words, and then all at once by meaning.

        Words are searched while the texts are still being encoded. Those that were not reached by
        `until` are None, and have nothing near. Raises `RetrievalTimeout` when none was reached,
        and `RetrievalUnavailable`.
        """
        if not texts:
            return IndexAnswer(())
        found = _Found()
        stop_at = time.monotonic() + until - asyncio.get_running_loop().time()

        def go_on() -> bool:
            return time.monotonic() < stop_at

        def by_words() -> None:
            snapshot = found.snapshot = self._snapshots.open()
            for text in texts:
                if not go_on():
                    return
                hits = best(snapshot, self._terms(text), size, filters)
                found.hits.append(found.served(hits))

        def by_meaning(given: Encoded) -> None:
            table = found.table
            if table is not None and comparable(table, given, len(texts)):
                near = nearest(table, given.vectors, size, filters, go_on)
                found.near = near and tuple([found.served(hits) for hits in near])

        def by_both(given: Encoded) -> None:
            by_words()
            by_meaning(given)

        if isinstance(encoded, Awaitable):
            given, _ = await asyncio.gather(encoded, self._as_far(found, by_words, until))
            if given is not None:
                await self._as_far(found, partial(by_meaning, given), until)
        else:
            given = encoded
            work = partial(by_both, given) if given is not None else by_words
            await self._as_far(found, work, until)
        return _answer(found, given, len(texts))

    async def _as_far(self, found: _Found, work: Callable[[], None], until: float) -> None:
        """Do it, or what can be done of it in time. Raises what `search` does."""
        try:
            await self._run(work, until)
        except RetrievalTimeout:
            if not found.hits:
                raise

    async def popular(self, size: int, until: float) -> Hits:
        """The articles with the highest popularity, newest first among equals."""

        def look() -> Hits:
            snapshot = self._snapshots.open()
            return _served(popular(snapshot.searcher, size, snapshot.documents))

        return await self._run(look, until)

    async def generation(self, until: float) -> str:
        """The generation that is open, and its last commit. Raises what `check` does."""
        return await self._run(lambda: self._snapshots.current().stamp, until)

    async def check(self, until: float) -> None:
        """Return if there is an index that our definition built, and it is whole."""
        await self._run(self._snapshots.current, until)

    async def remarks(self, until: float) -> tuple[Remark, ...]:
        """None: nobody but our own commands writes here."""
        return ()

    async def close(self) -> None:
        """Let go of threads and files."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._snapshots.close()

    async def _run(self, work: Callable[[], T], until: float) -> T:
        loop = asyncio.get_running_loop()
        if loop.time() >= until:
            raise RetrievalTimeout("no time left to search")
        try:
            return await result_by(loop.run_in_executor(self._pool, work), until)
        except TimeoutError as error:
            raise RetrievalTimeout("the embedded index did not answer in time") from error


def _answer(found: _Found, encoded: Encoded | None, texts: int) -> IndexAnswer:
    """What was found for so many texts. Raises `RetrievalTimeout` where that is nothing."""
    done = tuple(found.hits)
    if not done:
        raise RetrievalTimeout("the embedded index had no time to search")
    near, missed = found.near, texts - len(done)
    late = near is None and comparable(found.table, encoded, texts)
    return IndexAnswer(
        hits=done + (None,) * missed,
        near=((),) * texts if late else near or (),
        encoder=found.table.encoder.key if found.table else "",
        timed_out=missed > 0 or late,
        odd=found.odd,
    )


def search(
    searcher: Searcher,
    analyzer: TextAnalyzer,
    text: str,
    size: int,
    filters: Filters,
) -> Hits:
    """The best `size` articles of a text, in a searcher that nothing else is kept of."""
    once = Snapshot("", searcher, Documents(searcher), Clauses(searcher))
    return best(once, terms_of(analyzer, text), size, filters)


def terms_of(analyzer: TextAnalyzer, text: str) -> Mapping[str, int]:
    """The words that a text is searched by, and how often it says each."""
    return Counter(analyzer.analyze(bounded(text)))


def best(snapshot: Snapshot, terms: Mapping[str, int], size: int, filters: Filters) -> Hits:
    """The best `size` articles: by score, then newest first, then by id.

    The score is Lucene's: the sum over terms and fields, without tantivy's constant factor k1 + 1.
    """
    searcher, documents = snapshot.searcher, snapshot.documents
    query = snapshot.clauses.query(terms, filters)
    if query is None:
        return documents.hits(())
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
        ranked = ranked[:size] + [one for one in ranked[size:] if one[0] == last]
    hits = documents.hits(ranked)
    if (hits.scores[1:] == hits.scores[:-1]).any():
        hits = _in_order(hits, hits.scores)
    return hits[:size]


def popular(searcher: Searcher, size: int, documents: Documents | None = None) -> Hits:
    """The `size` most popular articles, newest first among equals, then by id."""
    documents = documents or Documents(searcher)
    articles = Query.term_query(files.build_schema(), files.FILLED, "title")
    ranked = searcher.search(articles, size, count=False, order_by_field="popularity").hits
    if not ranked:
        return documents.hits(())
    last = ranked[-1][0]
    tied = Query.range_query(files.build_schema(), "popularity", FieldType.Float, last, last)
    tied = Query.boolean_query([(Occur.Must, articles), (Occur.Must, tied)])
    newest = searcher.search(tied, size, count=False, order_by_field="published").hits
    chosen = [address for value, address in ranked if value > last]
    chosen += [address for _, address in newest]
    hits = documents.hits([(0.0, address) for address in chosen])
    return _in_order(hits, hits.table.columns.popularity[hits.rows])[:size]


def _served(hits: Hits) -> Hits:
    """Without those of earlier versions' loads whose ids are longer than they may be now."""
    # Nearly all are so short that there is no need to ask.
    if hits.table.longest_id <= _SHORT:
        return hits
    return hits.taken(np.array([fits_article_id(hit.id) for hit in hits], bool))


def _in_order(hits: Hits, values: Floats) -> Hits:
    """From the highest value down, then newest first, then by id."""
    published = hits.table.columns.published[hits.rows]
    order = np.lexsort((-published, -values))
    same = (values[order[1:]] == values[order[:-1]]) & (
        published[order[1:]] == published[order[:-1]]
    )
    if same.any():  # ids are looked at only where nothing else tells two apart
        names = [hits.table.headlines[row].id for row in hits.rows.tolist()]
        by_id = np.empty(len(names), np.intp)
        by_id[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
        order = np.lexsort((by_id, -published, -values))
    return hits.taken(order)
