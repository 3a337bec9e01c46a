"""The articles to answer with when nothing personal can be had: in memory, and on disk for a start
without the index.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import asdict
from math import log1p
from pathlib import Path
from typing import Any

import orjson

from service.dates import CLOCK_SKEW_MS, EARLIEST_MS
from service.errors import RetrievalError
from service.files import whole_file
from service.protocols import ArticleIndex
from service.records import Candidate, CandidateSource, Hit
from service.repeating import Repeating
from service.retrieval.titles import TitleIndex

log = logging.getLogger(__name__)

_VERSION = 1
_TIMEOUT_S = 10.0
_HOUR_MS = 3_600_000


class PopularSnapshot:
    """The `size` most popular articles, read again every `refresh_s` and after `refresh_soon`.

    Every change is written to `path`. A refresh that fails leaves the last articles in place; a
    file that cannot be read or written costs a log line, never an answer.
    """

    def __init__(
        self,
        index: ArticleIndex,
        path: Path,
        size: int,
        refresh_s: float,
        *,
        half_life_h: float = 72.0,
        near_duplicate: float = 0.7,
    ) -> None:
        self._index = index
        self._path = path
        self._size = size
        self._half_life_ms = half_life_h * _HOUR_MS
        self._near_duplicate = near_duplicate
        self._hits: tuple[Hit, ...] = ()
        self._written: tuple[Hit, ...] | None = None
        self._refreshing = Repeating(
            self.refresh,
            refresh_s,
            f"reading the popular articles and keeping them in {path}",
            foreseen=(RetrievalError, TimeoutError, OSError),
        )

    @property
    def available(self) -> bool:
        """Whether there is anything to answer with."""
        return bool(self._hits)

    async def start(self) -> None:
        """Load the file, if there is one, and begin to refresh. Does not wait for the index."""
        self._hits = await asyncio.to_thread(_load, self._path)
        self._written = self._hits
        self._refreshing.start()

    async def stop(self) -> None:
        """Stop refreshing."""
        await self._refreshing.stop()

    def refresh_soon(self) -> None:
        """Refresh now, without waiting for it: the index has changed."""
        self._refreshing.soon()

    async def refresh(self) -> None:
        """Read the popular articles and write them if they differ. Raises what the index raises."""
        until = asyncio.get_running_loop().time() + _TIMEOUT_S
        async with asyncio.timeout_at(until):
            self._hits = await self._index.popular(self._size, until)
        if self._hits != self._written:
            hits = self._hits
            await asyncio.to_thread(_write, self._path, hits)
            self._written = hits

    def candidates(
        self,
        limit: int,
        exclude: Collection[str],
        published_after_ms: int | None,
        now_ms: int,
        read: Collection[str] = (),
    ) -> tuple[Candidate, ...]:
        """At most `limit` articles, best first, without those in `exclude`.

        Near-duplicates (`near_duplicate`) of these, and of the titles in `read`, are left out too.
        The score is the popularity on a logarithmic scale (1 for the most popular one) times
        `1 / (1 + age / half_life)`; where no article has any popularity, the second factor alone.
        Articles from the future are hidden until their date.
        An unknown date counts as one half-life, but never as newer than `published_after_ms`.
        """
        after = published_after_ms if published_after_ms is not None else EARLIEST_MS
        unwanted = TitleIndex(self._near_duplicate)
        for title in (*read, *[h.title for h in self._hits if h.id in exclude]):
            unwanted.add(title)
        hits = [
            h
            for h in self._hits
            if after <= h.published_ms <= now_ms + CLOCK_SKEW_MS
            and h.id not in exclude
            and not unwanted.holds(h.title)
        ]
        most = log1p(max([h.popularity for h in hits], default=0.0))
        scored = [
            (
                (log1p(max(h.popularity, 0.0)) / most if most > 0 else 1.0)
                * self._recency(h, now_ms),
                h,
            )
            for h in hits
        ]
        scored.sort(key=lambda pair: (-pair[0], -pair[1].published_ms, pair[1].id))
        popular = CandidateSource.POPULAR
        return tuple([Candidate(hit, score, origin=popular) for score, hit in scored[:limit]])

    def _recency(self, hit: Hit, now_ms: int) -> float:
        if hit.published_ms == 0:
            return 0.5
        return 1 / (1 + max(now_ms - hit.published_ms, 0) / self._half_life_ms)


def _load(path: Path) -> tuple[Hit, ...]:
    """The articles in the file; none if it is missing or is not such a file."""
    try:
        content: Any = orjson.loads(path.read_bytes())
        if content["version"] != _VERSION:
            log.warning("ignoring %s: version %r, not %d", path, content["version"], _VERSION)
            return ()
        return tuple([_hit(article) for article in content["articles"]])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("ignoring %s, which is not a popular snapshot: %r", path, error)
        return ()


def _hit(article: dict[str, Any]) -> Hit:
    return Hit(
        id=str(article["id"]),
        title=str(article["title"]),
        category=str(article["category"]),
        published_ms=int(article["published_ms"]),
        popularity=float(article["popularity"]),
        score=float(article["score"]),
    )


def _write(path: Path, hits: tuple[Hit, ...]) -> None:
    """Replace the file in one step, so that no reader ever sees half of it. Raises `OSError`."""
    content = orjson.dumps({"version": _VERSION, "articles": [asdict(hit) for hit in hits]})
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, durable=True) as file:
        file.write(content)
