"""Files of articles, streamed: JSON lines and MIND's news.tsv, gzipped or not; Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from service.errors import InvalidInput
from service.parquet import is_parquet
from service.records import Article
from service.retrieval.indexes.article_rows import (
    from_json,
    from_mind,
    from_parquet,
    id_of,
    object_of,
    text_of,
)
from service.retrieval.indexes.parquet_articles import parquet_fields
from service.rows import BadRow, broken_byte, foreign, is_json, name_of, read_lines
from service.words.markup import plain, spaced

Parse = Callable[[int], Article]
"""Makes an article of a row, given the time of those without; raises `InvalidInput`."""


@dataclass(slots=True)
class ReadArticles:
    """What a reading came upon in the good rows."""

    with_html: int = 0
    """Articles in whose texts there was HTML."""
    undated: int = 0
    """Articles without a date."""


def read_articles(
    source: str, published_ms: int = 0, seen: ReadArticles | None = None
) -> Iterator[Article | BadRow]:
    """Every row of a file as an article, or as what is wrong with it. Blank lines are passed over.

    Texts are as `markup.plain` gives them, without HTML; `seen` counts where there was any.
    `source` is a path, or `-` for standard input; `published_ms` is given to articles without a
    date of their own. The format follows from the name (`.tsv`, `.jsonl`, `.parquet`, …), or from
    the first characters when the name does not say. Raises `InvalidInput` for a file that cannot be
    read, `ConfigurationError` for Parquet without pyarrow.
    """
    name = name_of(source)
    for line, parse in _parquet_rows(source) if is_parquet(source) else _text_rows(source):
        try:
            article = parse(published_ms)
            cleaned = _with_texts(article, plain)
            text_of({"title": cleaned.title}, "title", required=True)
        except InvalidInput as error:
            yield BadRow(name, line, error.field or "", str(error))
        else:
            if seen:
                seen.with_html += cleaned != _with_texts(article, spaced)
                seen.undated += not article.published_ms
            yield cleaned


def read_ids(source: str) -> Iterator[str]:
    """Ids from a file or standard input (`-`): one a line, or JSON lines with an `id`."""
    for line, row in read_lines(source):
        id_ = row.strip()
        if id_.startswith("{"):
            try:
                id_ = id_of(object_of(id_))
            except InvalidInput as error:
                raise InvalidInput(f"{name_of(source)}:{line}: {error}", field="id") from error
        yield id_


def _text_rows(source: str) -> Iterator[tuple[int, Parse]]:
    """Number of every line, and what makes its article."""
    parse = _format(source)
    for place, (line, row) in enumerate(read_lines(source)):
        parse = parse or (from_json if is_json(row) else from_mind)
        if (byte := broken_byte(row)) is not None:
            yield line, partial(_refuse, f"byte {byte} is not UTF-8")
        elif place == 0 and (why := foreign(row)):
            yield line, partial(_refuse, why)
        else:
            yield line, partial(parse, row.strip("\r\n"))


def _parquet_rows(source: str) -> Iterator[tuple[int, Parse]]:
    """Number of every row, and what makes its article."""
    for number, fields in parquet_fields(source):
        yield number, partial(from_parquet, fields)


def _refuse(why: str, undated_ms: int) -> Article:
    raise InvalidInput(why)


def _format(source: str) -> Callable[[str, int], Article] | None:
    suffix = Path(source.lower().removesuffix(".gz")).suffix
    if suffix == ".tsv":
        return from_mind
    return from_json if suffix in {".json", ".jsonl", ".ndjson"} else None


def _with_texts(article: Article, read: Callable[[str], str]) -> Article:
    """The article with each of its texts as `read` gives it."""
    return replace(
        article,
        title=read(article.title),
        abstract=read(article.abstract),
        body=read(article.body),
        category=read(article.category),
        entities=tuple(filter(None, map(read, article.entities))),
    )
