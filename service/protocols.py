"""The parts that wait, as the pipeline sees them. Real ones and tests' fakes implement these.

`until` is an absolute moment on the event loop's clock (`loop.time()`, seconds): every waiting part
stops by then, by itself, and raises its stage's timeout error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from service.records import (
    Appended,
    Encoded,
    Filters,
    GenerationRequest,
    Hit,
    IndexAnswer,
    InterestAnswer,
    KeptList,
    Query,
    QueryList,
    Remark,
    Retrieval,
    ShadowAnswer,
    Signal,
    TextRole,
    UserState,
    Vectors,
)


class SignalStore(Protocol):
    """Where users' signals and kept lists live. Every method raises `SignalsUnavailable`."""

    async def get(self, user_id: str, until: float) -> UserState:
        """Read a user's state in one round trip. An unknown user has an empty state."""
        ...

    async def append(self, user_id: str, signals: Sequence[Signal], until: float) -> Appended:
        """Store signals; repeats change nothing. Returns what became of them, once acknowledged."""
        ...

    async def keep(self, user_id: str, kept: KeptList, until: float) -> None:
        """Keep a list for the next request; at most four a user, the oldest gives way."""
        ...

    async def delete(self, user_id: str, until: float) -> bool:
        """Remove all keys of a user and leave a tombstone. True if there was anything."""
        ...

    async def check(self, until: float) -> None:
        """Return if the store does what requests need; raises what it refuses."""
        ...


class ExposureSink(Protocol):
    """Where it is noted what was served, without holding the answer up."""

    def expose(self, answer: InterestAnswer) -> None:
        """Note an answer that is about to leave."""
        ...


class ShadowSink(Protocol):
    """Where it is noted what shadow arms would have answered."""

    def shadow(self, answer: ShadowAnswer) -> None:
        """Note what a shadow arm has found."""
        ...


class Generator(Protocol):
    """Writes the list of queries. The innermost one raises `GenerationError`; the ladder never."""

    async def generate(self, request: GenerationRequest, until: float) -> QueryList:
        """Write, find or make up at most `max_queries` queries by `until`."""
        ...


class Retriever(Protocol):
    """Finds articles for queries. Raises `RetrievalError` when not one query could be answered."""

    def prepare(self, queries: Sequence[Query], until: float) -> None:
        """Begin what a search of these will need, without waiting for it; no error comes of it."""
        ...

    async def search(
        self, queries: Sequence[Query], size: int, filters: Filters, until: float
    ) -> Retrieval:
        """Search all queries at once, `size` hits each."""
        ...


class Encoder(Protocol):
    """Turns texts into vectors. Raises `EncoderUnavailable`."""

    @property
    def key(self) -> str:
        """`name@version`: vectors of another key cannot be compared with these."""
        ...

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        ...

    async def encode(self, texts: Sequence[str], role: TextRole, until: float) -> Vectors:
        """Vectors of the texts, (n, dimension), in one call."""
        ...

    async def close(self) -> None:
        """Let go of threads and connections."""
        ...


Encoding = Encoded | Awaitable[Encoded | None] | None
"""Texts as an encoder sees them, now or once they are awaited; None where that failed."""


class ArticleIndex(Protocol):
    """An article index: OpenSearch or the embedded twin. Same results, same shape."""

    async def search(
        self,
        texts: Sequence[str],
        size: int,
        filters: Filters,
        until: float,
        encoded: Encoding = None,
    ) -> IndexAnswer:
        """One round trip for all texts. Raises `RetrievalError` when nothing came back.

        `encoded` are the same texts as an encoder sees them. Where the index holds vectors of that
        encoder the answer is of hits by meaning too, `size` of each kind. What is to be awaited
        is awaited once, or not at all where the search ends before.
        """
        ...

    async def popular(self, size: int, until: float) -> Sequence[Hit]:
        """The articles with the highest popularity, newest first among equals."""
        ...

    async def generation(self, until: float) -> str:
        """A word that changes whenever the index's content may have: part of cache keys."""
        ...

    async def check(self, until: float) -> None:
        """Return if the index answers with the mapping we expect, else raise."""
        ...

    async def remarks(self, until: float) -> tuple[Remark, ...]:
        """What is wrong though it answers. It may cost much: it is for `interests doctor`."""
        ...

    async def close(self) -> None:
        """Let go of connections and files."""
        ...
