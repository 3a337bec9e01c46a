"""An article index whose answers, pace and failures a test chooses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from service.errors import RetrievalTimeout
from service.records import Filters, Hit, IndexAnswer, Remark


def hit(name: str, **fields: object) -> Hit:
    values: dict[str, object] = {
        "title": f"{name} title of its own {name}",
        "category": "",
        "published_ms": 0,
        "popularity": 0.0,
        "score": 1.0,
    }
    return Hit(id=name, **{**values, **fields})  # type: ignore[arg-type]


async def eventually(condition: Callable[[], bool], within: float = 20.0) -> None:
    """Wait until something holds; the limit only ends a test that would hang."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.002)


class FakeIndex:
    """Implements `ArticleIndex`. A text finds one article of that name, unless `results` says.

    `gate`, when set, holds every search back until it opens. `error` is raised by every call.
    """

    def __init__(self) -> None:
        self.results: dict[str, tuple[Hit, ...] | None] = {}
        self.articles: tuple[Hit, ...] = ()
        self.word = "g1"
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.shards = (1, 1)
        self.timed_out = False
        self.honours_until = True
        self.searches: list[tuple[str, ...]] = []
        self.cancelled = 0
        self.polls = 0
        self.reads = 0

    async def search(
        self, texts: Sequence[str], size: int, filters: Filters, until: float
    ) -> IndexAnswer:
        self.searches.append(tuple(texts))
        if self.gate is not None:
            try:
                async with asyncio.timeout_at(until if self.honours_until else None):
                    await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            except TimeoutError as error:
                raise RetrievalTimeout("too slow") from error
        if self.error is not None:
            raise self.error
        found = tuple([self.results.get(text, (hit(text),)) for text in texts])
        return IndexAnswer(found, *self.shards, timed_out=self.timed_out)

    async def popular(self, size: int, until: float) -> tuple[Hit, ...]:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.articles[:size]

    async def generation(self, until: float) -> str:
        self.polls += 1
        if self.error is not None:
            raise self.error
        return self.word

    async def check(self, until: float) -> None:
        return None

    async def remarks(self, until: float) -> tuple[Remark, ...]:
        return ()

    async def close(self) -> None:
        return None
