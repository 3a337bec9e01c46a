"""Titles of the articles that click logs name: of MIND's news.tsv, of JSON lines, of Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import orjson

from service.parquet import Column, is_parquet, read_table
from service.rows import BadRow, broken_byte, foreign, is_json, name_of, read_lines
from service.signals.read_log import ReadLog

Titles = Mapping[str, tuple[str, str | None]]
"""Article id → title and category."""
Parse = Callable[[], tuple[str, str, str | None]]
"""Id, title and category of a row; raises `ValueError`."""

_COLUMNS = (
    Column("article_id", "id"),
    Column("title", "text"),
    Column("category_str", "text", required=False),
)


def read_titles(source: str, log: ReadLog) -> dict[str, tuple[str, str | None]]:
    """Titles and categories by article id, without HTML. Raises `InvalidInput` for too many bad
    rows, which are those without an id or a title."""
    titles: dict[str, tuple[str, str | None]] = {}
    for number, parse in _parquet_rows(source) if is_parquet(source) else _text_rows(source):
        try:
            article, written, category = parse()
            if not (title := log.plain(written)):
                raise ValueError("title: must be a text that is not empty")
        except ValueError as error:
            log.bad.add(BadRow(name_of(source), number, "", str(error)))
        else:
            titles[article] = (title, log.plain(category) if category else None)
    return titles


def _parquet_rows(source: str) -> Iterator[tuple[int, Parse]]:
    for number, row in read_table(source, _COLUMNS):
        yield number, partial(_parquet_title, row)


def _text_rows(source: str) -> Iterator[tuple[int, Parse]]:
    for place, (number, row) in enumerate(read_lines(source)):
        if (byte := broken_byte(row)) is not None:
            yield number, partial(_refuse, f"byte {byte} is not UTF-8")
        elif place == 0 and (why := foreign(row)):
            yield number, partial(_refuse, why)
        else:
            parse = _json_title if is_json(row) else _tsv_title
            yield number, partial(parse, row)


def _refuse(why: str) -> tuple[str, str, str | None]:
    raise ValueError(why)


def _parquet_title(row: Mapping[str, Any]) -> tuple[str, str, str | None]:
    if row["article_id"] is None:
        raise ValueError("article_id: is missing")
    return row["article_id"], row["title"] or "", row["category_str"]


def _json_title(row: str) -> tuple[str, str, str | None]:
    article = orjson.loads(row)
    key, title, category = article.get("id"), article.get("title"), article.get("category")
    if not isinstance(key, str) or not isinstance(title, str):
        raise ValueError("an article needs id and title, both texts")
    return key, title, category if isinstance(category, str) else None


def _tsv_title(row: str) -> tuple[str, str, str | None]:
    columns = row.rstrip("\r\n").split("\t")
    if len(columns) < 4:
        raise ValueError(f"{len(columns)} columns; news.tsv has id, category, subcategory, title …")
    return columns[0], columns[3], columns[1]
