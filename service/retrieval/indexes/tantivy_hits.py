"""The articles of a commit as hits show them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tantivy import DocAddress, Searcher

from service.records import Headline
from service.retrieval.articles import ArticleTable, Hits, Shelf

_Rows = dict[tuple[int, int], int]
"""Row in the table of the document at a segment and a number in it."""


class Documents:
    """Articles out of one searcher's documents, decoded once, since the same are found again.

    Reading a document takes three times as long as all else that is done with it. For many threads.
    """

    def __init__(self, searcher: Searcher, shelf: Shelf | None = None) -> None:
        """The articles go on this shelf."""
        self._searcher = searcher
        self._shelf = shelf or Shelf()
        self._known: tuple[ArticleTable, _Rows] = self._shelf.table(), {}

    def hits(self, ranked: Sequence[tuple[float, DocAddress]]) -> Hits:
        """The articles at some addresses with their scores, in the same order."""
        table = self._shelf.table()
        of, known = self._known
        if of is not table:
            known = {}
            self._known = table, known  # another thread may be using the one before
        rows, scores = [], []
        for score, address in ranked:
            place = address.segment_ord, address.doc
            if (row := known.get(place)) is None:
                row = known[place] = table.row(self._headline(address))
            rows.append(row)
            scores.append(score)
        return Hits(table, np.array(rows, np.intp), np.array(scores, np.float64))

    def _headline(self, address: DocAddress) -> Headline:
        fields = self._searcher.doc(address).to_dict()
        return Headline(
            fields["id"][0],
            fields["title"][0],
            fields["category"][0],
            fields["published"][0],
            fields["popularity"][0],
        )
