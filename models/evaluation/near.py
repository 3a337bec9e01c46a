"""The articles of an evaluation set by meaning: every one compared with every text."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

import numpy as np

from models.progress import Progress
from service.encoding.onnx import OnnxModel
from service.records import Article, Hit
from service.retrieval.indexes.loading import BATCH, article_text
from service.retrieval.meaning import nearness

_MOST_KEPT = 20_000


class NearArticles:
    """Vectors of articles, and of the texts that were asked for."""

    def __init__(
        self,
        model: OnnxModel,
        articles: Sequence[Article],
        hits: Mapping[str, Hit],
        progress: Progress,
    ) -> None:
        """`hits`: what is told of each article, by id. `progress` is called with those encoded."""
        self._model = model
        self._hits = hits
        self._ids = [article.id for article in articles]
        parts = []
        for start in range(0, len(articles), BATCH):
            part = articles[start : start + BATCH]
            parts.append(model.encode([article_text(article) for article in part], "article"))
            progress(len(part))
        self._vectors = np.concatenate(parts)
        self._queries: dict[str, np.ndarray] = {}

    def find(self, text: str, size: int, live: Container[str] | None) -> tuple[Hit, ...]:
        """The `size` nearest that are live (None: all are), as a gateway's search brings them."""
        if (query := self._queries.get(text)) is None:
            if len(self._queries) >= _MOST_KEPT:
                self._queries.clear()
            query = self._queries[text] = self._model.encode([text], "query")[0]
        scores = self._vectors @ query
        found: list[Hit] = []
        for row in np.argsort(-scores, kind="stable"):
            id_ = self._ids[row]
            if live is None or id_ in live:
                found.append(replace(self._hits[id_], score=float(scores[row])))
                if len(found) == size:
                    break
        return nearness(tuple(found), self._model.manifest.unrelated)
