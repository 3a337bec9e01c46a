"""The articles of a commit as hits show them."""

from __future__ import annotations

from collections.abc import Sequence

from tantivy import DocAddress, Searcher

from service.records import Hit

_MOST_KNOWN = 20_000
"""Articles whose fields are kept."""


class Documents:
    """Articles out of one searcher's documents, decoded once, since the same are found again.

    Reading a document takes three times as long as all else that is done with it. For many threads.
    """

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self._known: dict[tuple[int, int], tuple[str, str, str, int, float]] = {}

    def hits(self, ranked: Sequence[tuple[float, DocAddress]]) -> list[Hit]:
        """The articles at some addresses with their scores."""
        if len(self._known) > _MOST_KNOWN:
            self._known = {}  # another thread may be reading the one before
        known = self._known
        hits = []
        for score, address in ranked:
            place = address.segment_ord, address.doc
            if (fields := known.get(place)) is None:
                fields = known[place] = self._fields(address)
            hits.append(Hit(*fields, score))
        return hits

    def _fields(self, address: DocAddress) -> tuple[str, str, str, int, float]:
        """Id, title, category, date and popularity."""
        fields = self._searcher.doc(address).to_dict()
        return (
            fields["id"][0],
            fields["title"][0],
            fields["category"][0],
            fields["published"][0],
            fields["popularity"][0],
        )
