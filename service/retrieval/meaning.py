"""Texts to the index, by words and by meaning at once: read by an encoder, where there is one.

Whatever happens to the encoder, the words are searched: an answer without its half by meaning says
so, and is not kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np

from service.errors import EncoderUnavailable
from service.protocols import ArticleIndex, Encoder
from service.records import Encoded, Filters, Hit, IndexAnswer, Query
from service.retrieval.articles import Hits, as_columns

log = logging.getLogger(__name__)

_ENCODER_SHARE = 0.5
"""Of the time that is left: what the encoder does not need is the index's."""

Timed = Callable[[str], AbstractContextManager[object]]
"""What surrounds a part of the work, by the part's name."""


def _untimed(part: str) -> AbstractContextManager[None]:
    return nullcontext()


class IndexSearch:
    """The searching side of an index and its encoder."""

    def __init__(
        self,
        index: ArticleIndex,
        encoder: Encoder | None,
        unrelated: float = 0.0,
        timed: Timed = _untimed,
    ) -> None:
        """`unrelated`: the encoder's cosine of texts that have nothing to do with each other.

        `timed` surrounds each "encode" and each "search" (`Metrics.timed`).
        """
        self._index = index
        self._encoder = encoder
        self._unrelated = unrelated
        self._timed = timed
        self._told = ""
        self._preparing: set[asyncio.Task[Encoded | None]] = set()

    @property
    def encoder_key(self) -> str:
        """`name@version` of the encoder; empty where articles are found by words alone."""
        return self._encoder.key if self._encoder else ""

    def prepare(self, queries: Sequence[Query], until: float) -> None:
        """Begin to encode what is searched soon: a `CachedEncoder` keeps the vectors."""
        if self._encoder and queries:
            task = asyncio.create_task(self._encoded(self._encoder, queries, until))
            self._preparing.add(task)
            task.add_done_callback(self._preparing.discard)

    async def search(
        self, queries: Sequence[Query], size: int, filters: Filters, until: float
    ) -> IndexAnswer:
        """Hits per query. Raises `RetrievalError` when nothing came back.

        The score of a hit by meaning is its nearness: 0 for what is unrelated, which is left out,
        and 1 for the same.
        """
        encoder = self._encoder
        texts = [query.text for query in queries]
        if encoder is None:
            with self._timed("search"):
                return await self._index.search(texts, size, filters, until)
        encoding = asyncio.ensure_future(self._encoded(encoder, queries, until))
        try:
            await asyncio.sleep(0)  # vectors that are kept are there now
            given = encoding.result() if encoding.done() else encoding
            with self._timed("search"):
                answer = await self._index.search(texts, size, filters, until, given)
            encoded = await encoding
        finally:
            encoding.cancel()
        if encoded is None:
            return replace(answer, unencoded=True)
        if answer.encoder not in ("", encoder.key):
            self._tell(
                f"the article index was encoded by {answer.encoder}, not by {encoder.key}: it is "
                "searched by words alone; `interests doctor` says what to do"
            )
            return replace(answer, unencoded=True)
        return replace(answer, near=tuple([nearness(h, self._unrelated) for h in answer.near]))

    async def _encoded(
        self, encoder: Encoder, queries: Sequence[Query], until: float
    ) -> Encoded | None:
        texts = [query.meaning for query in queries]
        now = asyncio.get_running_loop().time()
        try:
            with self._timed("encode"):
                vectors = await encoder.encode(texts, "query", now + _ENCODER_SHARE * (until - now))
        except EncoderUnavailable as error:
            self._tell(f"texts are searched by words alone: {error}")
            return None
        self._told = ""
        return Encoded(encoder.key, vectors)

    def _tell(self, what: str) -> None:
        """Log a state once, until it has changed."""
        if what != self._told:
            self._told = what
            log.warning(what)


def nearness(hits: Sequence[Hit], unrelated: float) -> Hits:
    """Hits with cosines for scores, best first, as hits with their nearness.

    Cosines from `unrelated` to 1 are 0 to 1; what is below is left out.
    """
    found = as_columns(hits)
    near = found.scores > unrelated
    return found.taken(near, np.minimum(1.0, (found.scores[near] - unrelated) / (1 - unrelated)))
