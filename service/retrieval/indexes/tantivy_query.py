"""What a text asks of the embedded index: the sum over fields and terms that Lucene would score."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import log

from tantivy import FieldType, Occur, Query, Searcher

from service.records import Filters
from service.retrieval.indexes import tantivy_files as files
from service.retrieval.indexes.analysis import FIELDS, K1

Clause = tuple[Occur, Query]

_MOST_WORDS = 50_000
"""Words whose clauses are kept: some 300 bytes each."""


class Clauses:
    """What one searcher's queries are made of: a word's clauses are built once. For many threads.

    Users say the same words as others, and the same again, so nearly all are known; to build one
    takes as long as a quarter of the search for it.
    """

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self._schema = files.build_schema()
        self._words: dict[str, list[Clause | None]] = {}
        # Deleted documents count until their segment is merged, in tantivy's statistics and here.
        self._documents = searcher.doc_freq(files.FILLED, files.ANY)
        self._filled = {name: searcher.doc_freq(files.FILLED, name) for name, _ in FIELDS}
        self._bounds: tuple[Filters, list[Clause]] = Filters(), []

    def query(self, terms: Mapping[str, int], filters: Filters) -> Query | None:
        """The sum over fields and terms; built from terms, so nothing in a text is query syntax.

        A term's weight in a field is Lucene's: its rarity among the articles that have the field.
        """
        if len(self._words) > _MOST_WORDS:
            self._words = {}  # another thread may be reading the ones before
        words = self._words
        found: list[list[Clause | None]] = []
        for term, count in terms.items():
            known = words.get(term) if count == 1 else self._clauses(term, count)
            if known is None:
                known = words[term] = self._clauses(term, 1)
            found.append(known)
        # Field by field: the order in which tantivy adds decides the last digit of a score.
        clauses = [clause for of_field in zip(*found, strict=True) for clause in of_field if clause]
        if not clauses:
            return None
        query = Query.boolean_query(clauses)
        bounds = self._within(filters)
        return Query.boolean_query([(Occur.Must, query), *bounds]) if bounds else query

    def _clauses(self, term: str, count: int) -> list[Clause | None]:
        """A term's clause of each field; None where no article has it there."""
        found: list[Clause | None] = []
        for name, boost in FIELDS:
            articles = self._searcher.doc_freq(name, term)
            if not articles:
                found.append(None)
                continue
            weight = boost * count / (K1 + 1)
            weight *= _rarity(self._filled[name], articles) / _rarity(self._documents, articles)
            clause = Query.term_query(self._schema, name, term, index_option="freq")
            found.append((Occur.Should, Query.boost_query(clause, weight)))
        return found

    def _within(self, filters: Filters) -> list[Clause]:
        """The filters as clauses; those that nothing is left out by are left out themselves."""
        known, bounds = self._bounds
        if known == filters:
            return bounds
        bounds = []
        if (after := filters.published_after_ms) is not None:
            newer = Query.range_query(self._schema, "published", FieldType.Integer, after, None)
            bounds.append((Occur.Must, Query.const_score_query(newer, 0.0)))
        until = filters.published_until_ms
        if until is not None and self._newest_ms > until:
            ahead = Query.range_query(
                self._schema, "published", FieldType.Integer, until, None, include_lower=False
            )
            bounds.append((Occur.MustNot, ahead))
        self._bounds = filters, bounds
        return bounds

    @cached_property
    def _newest_ms(self) -> int:
        """The latest date of an article."""
        newest = self._searcher.search(
            Query.all_query(), 1, count=False, order_by_field="published"
        ).hits
        return int(newest[0][0]) if newest else 0


def _rarity(documents: int, found: int) -> float:
    """BM25's inverse document frequency."""
    return log(1 + (documents - found + 0.5) / (found + 0.5))
