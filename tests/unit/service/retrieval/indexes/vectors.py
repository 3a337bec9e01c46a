"""Vectors without a model: each topic is a direction of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.records import Article, Encoded, Vectors
from service.retrieval.indexes.loading import EncoderOf

TOPICS = ("storm", "calm", "vote")
ABOUT = EncoderOf("fake@1", 8)


def vector_of(text: str) -> list[float]:
    """A direction for each topic that the text names; zeros where it names none."""
    named = [float(topic in text.lower()) for topic in TOPICS]
    return [number / max(1.0, sum(named)) ** 0.5 for number in named] + [0.0] * 5


def encoded(*texts: str, key: str = ABOUT.key) -> Encoded:
    """The texts of a search, as `FakeEncoder` sees them."""
    return Encoded(key, np.array([vector_of(text) for text in texts], np.float32))


def vectors(*articles: Article) -> Vectors:
    """A row for each article, of its title."""
    rows = [vector_of(article.title) for article in articles]
    return np.array(rows, np.float32).reshape(len(rows), ABOUT.dimension)


class FakeEncoder:
    """An `ArticleEncoder` that remembers what it was given."""

    def __init__(self, key: str = ABOUT.key) -> None:
        self.key, self.dimension = key, ABOUT.dimension
        self.given: list[str] = []

    async def close(self) -> None:
        """Nothing is held."""

    async def encode(self, texts: Sequence[str]) -> Vectors:
        self.given += texts
        return np.array([vector_of(text) for text in texts], np.float32)
