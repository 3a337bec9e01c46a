"""What a text asks of the embedded index: the sum over fields and terms that Lucene would score."""

from __future__ import annotations

from collections.abc import Mapping
from math import log

from tantivy import FieldType, Occur, Query, Searcher

from service.records import Filters
from service.retrieval.indexes import tantivy_files as files
from service.retrieval.indexes.analysis import FIELDS, K1


def query_of(searcher: Searcher, terms: Mapping[str, int], filters: Filters) -> Query | None:
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
