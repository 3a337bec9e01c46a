"""Getting articles in: a rebuild that shows when it is complete, and changes to what is live."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from service.errors import InvalidInput
from service.records import Article
from service.rows import BadRow, BadRows

log = logging.getLogger(__name__)

BATCH = 500


@dataclass(frozen=True, slots=True)
class Published:
    """What is live now."""

    name: str
    taken_off: tuple[str, ...] = ()
    """Indices of others that are live no more. They are kept."""


class IndexBuild(Protocol):
    """An index that is being built aside; nobody sees it before it is published."""

    async def add(self, articles: Sequence[Article]) -> int:
        """Add articles. Of those with the same id the last one stays; returns how many gave way."""
        ...

    async def publish(self) -> Published:
        """Put it in the place of the live index at one stroke."""
        ...

    async def discard(self) -> None:
        """Remove what was built. The live index is as it was."""
        ...


class ArticleWriter(Protocol):
    """The writing side of an article index. Raises `RetrievalError` when it cannot be written."""

    async def begin(self) -> IndexBuild:
        """Begin to build a new index beside the live one."""
        ...

    async def upsert(self, articles: Sequence[Article]) -> int:
        """Add or replace articles in the live index. Returns how many were replaced."""
        ...

    async def delete(self, ids: Sequence[str]) -> int:
        """Remove articles from the live index. Returns how many there were."""
        ...

    async def close(self) -> None:
        """Let go of connections and locks."""
        ...


@dataclass(slots=True)
class LoadReport:
    """What a load or an upsert did."""

    articles: int = 0
    """Articles that are in the index now because of it."""
    replaced: int = 0
    """Articles that gave way to one with the same id."""
    bad: int = 0
    """Rows that were left out."""
    name: str = ""
    """The index that was published; empty after an upsert."""
    taken_off: tuple[str, ...] = ()
    """Indices of others that were live before. They are kept."""


NOTHING_CHANGED = "nothing was changed"
"""What one bad row too many means for the index."""


async def load(
    writer: ArticleWriter,
    rows: Iterable[Article | BadRow],
    bad: BadRows | None = None,
    *,
    on_progress: Callable[[int], None] = lambda count: None,
) -> LoadReport:
    """Build a new index from `rows` and put it in the live one's place when all are in.

    `bad` says how many bad rows are passed over; by default none. Raises `InvalidInput` at one too
    many or when there is no article at all, and whatever the writer does; the live index is then as
    it was and nothing is left behind. `on_progress` is told how many articles more are in.
    """
    bad = bad or BadRows(outcome=NOTHING_CHANGED)
    report = LoadReport()
    build = await writer.begin()
    try:
        for batch in _batches(bad.sift(rows), BATCH):
            replaced = await build.add(batch)
            report.replaced += replaced
            report.articles += len(batch) - replaced
            on_progress(len(batch) - replaced)
        if not report.articles:
            raise InvalidInput("there is no article in the input; the index is as it was")
        published = await build.publish()
    except BaseException:
        try:
            await build.discard()
        except Exception as error:  # the first error is the one to be told
            log.debug("what was built could not be removed: %r", error)
        raise
    report.name, report.taken_off = published.name, published.taken_off
    report.bad = bad.count
    return report


async def upsert(
    writer: ArticleWriter,
    rows: Iterable[Article | BadRow],
    bad: BadRows | None = None,
) -> LoadReport:
    """Add or replace articles in the live index, once all rows are read and few enough are bad.

    Of rows with the same id the last one stays. Raises like `load`.
    """
    bad = bad or BadRows(outcome=NOTHING_CHANGED)
    articles: dict[str, Article] = {}
    repeated = 0
    for article in bad.sift(rows):
        repeated += article.id in articles
        articles[article.id] = article
    replaced = await writer.upsert(list(articles.values())) if articles else 0
    return LoadReport(articles=len(articles), replaced=replaced + repeated, bad=bad.count)


def _batches(articles: Iterable[Article], size: int) -> Iterator[list[Article]]:
    """Lists of up to `size` articles."""
    waiting = iter(articles)
    while batch := list(islice(waiting, size)):
        yield batch
