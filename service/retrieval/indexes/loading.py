"""Getting articles in: a rebuild that shows when it is complete, and changes to what is live."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import numpy.typing as npt

from service.errors import ConfigurationError, InvalidInput
from service.records import Article, Vectors
from service.rows import BadRow, BadRows

log = logging.getLogger(__name__)

BATCH = 500

Vector = npt.NDArray[np.float32]
"""One text's numbers."""


@dataclass(frozen=True, slots=True)
class Published:
    """What is live now."""

    name: str
    taken_off: tuple[str, ...] = ()
    """Indices of others that are live no more. They are kept."""


@dataclass(frozen=True, slots=True)
class EncoderOf:
    """Whose vectors an index holds, and how many numbers each has."""

    key: str
    dimension: int


class IndexBuild(Protocol):
    """An index that is being built aside; nobody sees it before it is published."""

    async def add(self, articles: Sequence[Article], vectors: Vectors | None = None) -> int:
        """Add articles. Of those with the same id the last one stays; returns how many gave way.

        `vectors` is a row for each, where the build was begun with an encoder.
        """
        ...

    async def publish(self) -> Published:
        """Put it in the place of the live index at one stroke."""
        ...

    async def discard(self) -> None:
        """Remove what was built. The live index is as it was."""
        ...


class ArticleWriter(Protocol):
    """The writing side of an article index. Raises `RetrievalError` when it cannot be written."""

    async def begin(self, encoder: EncoderOf | None = None) -> IndexBuild:
        """Begin to build a new index beside the live one, with vectors of an encoder or without."""
        ...

    async def upsert(self, articles: Sequence[Article], vectors: Vectors | None = None) -> int:
        """Add or replace articles in the live index. Returns how many were replaced.

        `vectors` is a row for each, where the live index has an encoder.
        """
        ...

    async def encoder(self) -> str:
        """What the live index's vectors are made by, `name@version`; empty where it has none."""
        ...

    async def known_vectors(self, digests: Sequence[bytes], encoder: str) -> dict[bytes, Vector]:
        """The live index's vectors of texts, by `text_digest`; empty for another encoder's.

        So a text that has not changed is not encoded again. Nothing is raised where there is no
        live index.
        """
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


class ArticleEncoder(Protocol):
    """Encodes articles' texts, in the process that loads them. Raises `EncoderUnavailable`."""

    @property
    def key(self) -> str:
        """`name@version`: what is written into the index."""
        ...

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        ...

    async def encode(self, texts: Sequence[str]) -> Vectors:
        """A row a text."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


NOTHING_CHANGED = "nothing was changed"
"""What one bad row too many means for the index."""


def article_text(article: Article) -> str:
    """What is encoded of an article: title and abstract, which say what it is about."""
    return f"{article.title}. {article.abstract}" if article.abstract else article.title


def text_digest(text: str) -> bytes:
    """16 bytes by which a text that was encoded is known again."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


async def encoded(
    writer: ArticleWriter, encoder: ArticleEncoder | None, articles: Sequence[Article]
) -> Vectors | None:
    """A vector for each article, taken from the live index where its text has not changed."""
    if encoder is None:
        return None
    texts = [article_text(article) for article in articles]
    digests = [text_digest(text) for text in texts]
    known = await writer.known_vectors(digests, encoder.key)
    missing = {d: text for d, text in zip(digests, texts, strict=True) if d not in known}
    if missing:
        new = await encoder.encode(list(missing.values()))
        known = {**known, **dict(zip(missing, new, strict=True))}
    rows = [known[digest] for digest in digests]
    return np.array(rows, np.float32).reshape(len(articles), encoder.dimension)


async def load(
    writer: ArticleWriter,
    rows: Iterable[Article | BadRow],
    bad: BadRows | None = None,
    *,
    encoder: ArticleEncoder | None = None,
    on_progress: Callable[[int], None] = lambda count: None,
) -> LoadReport:
    """Build a new index from `rows` and put it in the live one's place when all are in.

    `bad` says how many bad rows are passed over; by default none. Raises `InvalidInput` at one too
    many or when there is no article at all, and whatever the writer does; the live index is then as
    it was and nothing is left behind. `on_progress` is told how many articles more are in.
    """
    bad = bad or BadRows(outcome=NOTHING_CHANGED)
    report = LoadReport()
    build = await writer.begin(EncoderOf(encoder.key, encoder.dimension) if encoder else None)
    try:
        for batch in _batches(bad.sift(rows), BATCH):
            replaced = await build.add(batch, await encoded(writer, encoder, batch))
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
    *,
    encoder: ArticleEncoder | None = None,
) -> LoadReport:
    """Add or replace articles in the live index, once all rows are read and few enough are bad.

    Of rows with the same id the last one stays. Raises like `load`, and `ConfigurationError` where
    the live index holds vectors of another encoder than `encoder`, or of none.
    """
    bad = bad or BadRows(outcome=NOTHING_CHANGED)
    articles: dict[str, Article] = {}
    repeated = 0
    for article in bad.sift(rows):
        repeated += article.id in articles
        articles[article.id] = article
    replaced = 0
    if articles:
        require_encoder(await writer.encoder(), encoder)
        changed = list(articles.values())
        replaced = await writer.upsert(changed, await encoded(writer, encoder, changed))
    return LoadReport(articles=len(articles), replaced=replaced + repeated, bad=bad.count)


def require_encoder(live: str, encoder: ArticleEncoder | None) -> None:
    """Raise `ConfigurationError` where a live index has vectors of another encoder than ours."""
    ours = encoder.key if encoder else ""
    if live != ours:
        has, wants = live or "no vectors", ours or "no encoder"
        raise ConfigurationError(
            f"the live index has {has}, the settings name {wants}: load all articles again with "
            "`interests index load FILE`, or set INTERESTS_ENCODER__MANIFEST to the index's own"
        )


def _batches(articles: Iterable[Article], size: int) -> Iterator[list[Article]]:
    """Lists of up to `size` articles."""
    waiting = iter(articles)
    while batch := list(islice(waiting, size)):
        yield batch
