"""The articles of an evaluation set by meaning, by the search of the embedded index."""

from __future__ import annotations

from collections.abc import Sequence

from service.encoding.onnx import OnnxModel
from service.records import Filters, Hit, Vectors
from service.retrieval.indexes.tantivy_near import nearest
from service.retrieval.indexes.tantivy_vectors import Table
from service.retrieval.meaning import nearness

_MOST_KEPT = 20_000


class NearArticles:
    """The vectors of an index, and of the texts that were asked for."""

    def __init__(self, model: OnnxModel, table: Table) -> None:
        """`table` holds the articles as this model encoded them."""
        self._model = model
        self._table = table
        self._queries: dict[str, Vectors] = {}

    def find(self, text: str, size: int, filters: Filters) -> Sequence[Hit]:
        """The `size` nearest, as a gateway's search brings them. Raises `EncoderUnavailable`."""
        if (query := self._queries.get(text)) is None:
            if len(self._queries) >= _MOST_KEPT:
                self._queries.clear()
            query = self._queries[text] = self._model.encode([text], "query")
        found = nearest(self._table, query, size, filters, lambda: True)
        return nearness(found[0] if found else (), self._model.manifest.unrelated)
