"""The embedded article index: tantivy on disk, the twin of the index on OpenSearch."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import log
from pathlib import Path
from typing import TypeVar

from tantivy import DocAddress, FieldType, Occur, Query, Searcher, TextAnalyzer

from service.errors import RetrievalTimeout
from service.languages import ENGLISH, Language
from service.limits import fits_article_id
from service.patience import result_by
from service.records import Encoded, Filters, Hit, IndexAnswer, Remark
from service.retrieval.indexes import tantivy_files as files
from service.retrieval.indexes.analysis import FIELDS, K1, bounded, build_analyzer
from service.retrieval.indexes.tantivy_near import comparable, nearest
from service.retrieval.indexes.tantivy_snapshots import Snapshots

T = TypeVar("T")

_SPARE = 16
_MOST_TIED = 4096


@dataclass(slots=True)
class _Found:
    """What a search has found so far: it may be left when its time is up."""

    hits: list[tuple[Hit, ...]] = field(default_factory=list)
    near: tuple[tuple[Hit, ...], ...] | None = None
    """None until all texts have been compared with the vectors."""
    searchable: bool = False
    """Whether there are vectors that the texts' own can be compared with."""
    encoder: str = ""
    odd: int = 0

    def served(self, hits: tuple[Hit, ...]) -> tuple[Hit, ...]:
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
        self._analyzer = build_analyzer(language)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="article-index")
        self._snapshots = Snapshots(folder, language)

    async def search(
        self,
        texts: Sequence[str],
        size: int,
        filters: Filters,
        until: float,
        encoded: Encoded | None = None,
    ) -> IndexAnswer:
        """Search the texts one after the other by words, and then all at once by meaning.

        Those that were not reached by `until` are None, and have nothing near. Raises
        `RetrievalTimeout` when none was reached, and `RetrievalUnavailable`.
        """
        if not texts:
            return IndexAnswer(())
        found = _Found()
        stop_at = time.monotonic() + until - asyncio.get_running_loop().time()

        def go_on() -> bool:
            return time.monotonic() < stop_at

        def work() -> None:
            snapshot = self._snapshots.open()
            table = snapshot.table
            found.encoder = table.encoder.key if table is not None else ""
            found.searchable = comparable(table, encoded, len(texts))
            for text in texts:
                if not go_on():
                    return
                hits = search(snapshot.searcher, self._analyzer, text, size, filters)
                found.hits.append(found.served(hits))
            if table is not None and encoded is not None and found.searchable:
                near = nearest(table, encoded.vectors, size, filters, go_on)
                found.near = near and tuple([found.served(hits) for hits in near])

        try:
            await self._run(work, until)
        except RetrievalTimeout:
            if not found.hits:
                raise
        done = tuple(found.hits)
        if not done:
            raise RetrievalTimeout("the embedded index had no time to search")
        missed = len(texts) - len(done)
        near = found.near
        late = found.searchable and near is None
        return IndexAnswer(
            hits=done + (None,) * missed,
            near=((),) * len(texts) if late else near or (),
            encoder=found.encoder,
            timed_out=missed > 0 or late,
            odd=found.odd,
        )

    async def popular(self, size: int, until: float) -> tuple[Hit, ...]:
        """The articles with the highest popularity, newest first among equals."""
        return await self._run(
            lambda: _served(popular(self._snapshots.open().searcher, size)), until
        )

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
    for name, boost in FIELDS:
        filled = searcher.doc_freq(files.FILLED, name)
        for term, count in terms.items():
            if found := searcher.doc_freq(name, term):
                weight = boost * count / (K1 + 1)
                weight *= _rarity(filled, found) / _rarity(documents, found)
                clause = Query.term_query(schema, name, term, index_option="freq")
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
