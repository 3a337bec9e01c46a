"""The articles of OpenSearch's documents, as hits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from service.dates import EARLIEST_MS, LATEST_MS
from service.limits import fits_article_id
from service.records import Headline
from service.retrieval.articles import ArticleTable, Floats, Hits, Ints, Shelf

_Fields = tuple[Any, ...]


class Documents:
    """Reads documents, most of which were read before: the same articles are found again."""

    def __init__(self) -> None:
        self._shelf = Shelf()
        self._known: tuple[ArticleTable, dict[_Fields, int]] = self._shelf.table(), {}

    def hits(
        self, found: Sequence[Mapping[str, Any]], scores: Floats | None = None
    ) -> tuple[Hits, int]:
        """The hits of one search, and how many of them are not as they should be.

        `scores` are theirs; without, there were none and they are 0.

        OpenSearch keeps a document as it was written: a title may be null, a number or a list. What
        can be read of it is used; a hit without an id or a title is left out, and so is one whose
        id is too long. An article that stands in several indices of an alias is found in each: its
        best place counts.
        """
        table = self._shelf.table()
        of, known = self._known
        if of is not table:
            known = {}
            self._known = table, known
        scores = np.zeros(len(found)) if scores is None else scores
        try:
            rows = [known[_fields(document)] for document in found]
        except (KeyError, TypeError):  # one is new, or holds what cannot be compared
            rows, places, odd = _read(found, table, known)
            scores = scores[places]
        else:
            odd = 0
        hits = Hits(table, np.array(rows, np.intp), scores)
        first = _first_of_each(table.columns.numbers[hits.rows])
        return (hits, odd) if first is None else (hits.taken(first), odd + len(hits) - len(first))


def _read(
    found: Sequence[Mapping[str, Any]], table: ArticleTable, known: dict[_Fields, int]
) -> tuple[list[int], list[int], int]:
    """Rows of the documents that can be shown, their places, and how many are not as they should
    be. Those that are go into `known`."""
    rows: list[int] = []
    places: list[int] = []
    odd = 0
    for place, document in enumerate(found):
        headline, fine = _headline(document)
        odd += not fine
        if headline is None:
            continue
        places.append(place)
        rows.append(table.row(headline))
        if fine:
            known[_fields(document)] = rows[-1]
    return rows, places, odd


def _first_of_each(numbers: Ints) -> Ints | None:
    """The places of the first of each number; None where all differ."""
    if len(set(numbers.tolist())) == len(numbers):
        return None
    first = np.unique(numbers, return_index=True)[1]
    first.sort()
    return first


def _fields(document: Mapping[str, Any]) -> _Fields:
    """What is read of a document, as it came."""
    source, sort = document["_source"], document["sort"]
    id_ = sort[-1] or document["_id"]
    return id_, source.get("title"), source.get("category"), sort[-2], source.get("popularity")


def _headline(document: Mapping[str, Any]) -> tuple[Headline | None, bool]:
    """The article, if it can be shown, and whether it is as it should be."""
    id_, title, category, published, popularity = _fields(document)
    if (
        type(title) is type(id_) is str
        and title
        and fits_article_id(id_)
        and (type(category) is str or category is None)
        and type(published) is int
        and EARLIEST_MS <= published <= LATEST_MS
        and (type(popularity) in (float, int) or popularity is None)
    ):
        return Headline(id_, title, category or "", published, float(popularity or 0.0)), True
    readable = _text(title)
    if not readable or type(id_) is not str or not fits_article_id(id_):
        return None, False
    clicks = float(popularity) if type(popularity) in (float, int) else 0.0
    return Headline(id_, readable, _text(category), _moment(published), clicks), False


def _text(value: object) -> str:
    """A text; of a list its first; else none."""
    if isinstance(value, list):
        value = next((part for part in value if isinstance(part, str)), None)
    return value if isinstance(value, str) else ""


def _moment(value: object) -> int:
    """A time that an answer can show; 0, the unknown one, for all others."""
    return value if type(value) is int and EARLIEST_MS <= value <= LATEST_MS else 0
