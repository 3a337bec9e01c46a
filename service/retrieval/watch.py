"""Notices that the index's content has changed, by asking for its generation in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from service.errors import RetrievalError
from service.repeating import Repeating


class HasGeneration(Protocol):
    """The part of an `ArticleIndex` that is watched."""

    async def generation(self, until: float) -> str:
        """A word that changes whenever the index's content may have."""
        ...


class IndexWatch:
    """Polls the generation every `poll_s` seconds, so that no request has to.

    `fresh` says whether the last one heard is at most two polls old: what was found under it is
    then at most `2 * poll_s` behind the index, whatever happens to the polls (4 s by default).
    """

    def __init__(self, index: HasGeneration, *, poll_s: float = 2.0) -> None:
        self._index = index
        self._poll_s = poll_s
        self._asked_at = float("-inf")
        self._listeners: list[Callable[[], None]] = []
        self._polling = Repeating(
            self.poll,
            poll_s,
            "asking the article index for its generation, without which no result is kept,",
            foreseen=(RetrievalError, TimeoutError),
        )
        self.generation: str | None = None
        """The last one heard; None before the first."""

    @property
    def fresh(self) -> bool:
        """Whether `generation` can be relied on now."""
        age = asyncio.get_running_loop().time() - self._asked_at
        return self.generation is not None and age <= 2 * self._poll_s

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every change, the first generation heard included."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Begin to poll. Does not wait for the index."""
        self._polling.start()

    async def stop(self) -> None:
        """Stop polling."""
        await self._polling.stop()

    async def poll(self) -> None:
        """Ask once, for at most `poll_s`. Raises `RetrievalError` or whatever the index does."""
        asked_at = asyncio.get_running_loop().time()
        async with asyncio.timeout(self._poll_s):
            generation = await self._index.generation(asked_at + self._poll_s)
        self._asked_at = asked_at
        if generation != self.generation:
            self.generation = generation
            for listener in self._listeners:
                listener()
