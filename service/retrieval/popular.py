"""The most popular articles, which stand beside what is searched and are all there is where nothing
personal can be had: in memory, and on disk for a start without the index.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from service.errors import RetrievalError
from service.files import whole_file
from service.protocols import ArticleIndex
from service.records import Filters, Hit
from service.repeating import Repeating
from service.retrieval.articles import Hits, as_columns

log = logging.getLogger(__name__)

_VERSION = 1
_TIMEOUT_S = 10.0


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
    ) -> None:
        self._index = index
        self._path = path
        self._size = size
        self._hits = as_columns(())
        self._passing: tuple[Hits, Filters, Hits] | None = None
        """What passed the filters that were asked for last, and of which articles."""
        self._written: Hits | None = None
        self._refreshing = Repeating(
            self.refresh,
            refresh_s,
            f"reading the popular articles and keeping them in {path}",
            foreseen=(RetrievalError, TimeoutError, OSError),
        )

    @property
    def available(self) -> bool:
        """Whether there is anything to answer with."""
        return len(self._hits) > 0

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
            self._hits = as_columns(await self._index.popular(self._size, until))
        if self._hits != self._written:
            hits = self._hits
            await asyncio.to_thread(_write, self._path, hits)
            self._written = hits

    def hits(self, filters: Filters) -> Hits:
        """Those that pass, the most popular first, then the newer, then the lower id."""
        hits = self._hits
        if self._passing is None or not (self._passing[0] is hits and self._passing[1] == filters):
            published = hits.table.columns.published[hits.rows]
            passing = np.ones(len(hits), bool)
            if filters.published_after_ms is not None:
                passing &= published >= filters.published_after_ms
            if filters.published_until_ms is not None:
                passing &= published <= filters.published_until_ms
            self._passing = hits, filters, hits.taken(passing)
        return self._passing[2]


def _load(path: Path) -> Hits:
    """The articles in the file; none if it is missing or is not such a file."""
    try:
        content: Any = orjson.loads(path.read_bytes())
        if content["version"] != _VERSION:
            log.warning("ignoring %s: version %r, not %d", path, content["version"], _VERSION)
            return as_columns(())
        return as_columns([_hit(article) for article in content["articles"]])
    except FileNotFoundError:
        return as_columns(())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("ignoring %s, which is not a popular snapshot: %r", path, error)
        return as_columns(())


def _hit(article: dict[str, Any]) -> Hit:
    return Hit(
        id=str(article["id"]),
        title=str(article["title"]),
        category=str(article["category"]),
        published_ms=int(article["published_ms"]),
        popularity=float(article["popularity"]),
        score=float(article["score"]),
    )


def _write(path: Path, hits: Hits) -> None:
    """Replace the file in one step, so that no reader ever sees half of it. Raises `OSError`."""
    content = orjson.dumps({"version": _VERSION, "articles": [asdict(hit) for hit in hits]})
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, durable=True) as file:
        file.write(content)
