"""Titles of the articles that click logs name: MIND's news.tsv, or JSON lines of articles."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from service.rows import BadRow, broken_byte, foreign, name_of, read_lines
from service.signals.read_log import ReadLog

Titles = Mapping[str, tuple[str, str | None]]
"""Article id → title and category."""


def read_titles(source: str, log: ReadLog) -> dict[str, tuple[str, str | None]]:
    """Titles and categories by article id, without HTML. Raises `InvalidInput` for too many bad
    rows, which are those without an id or a title."""
    titles: dict[str, tuple[str, str | None]] = {}
    for number, row in read_lines(source):
        try:
            if (byte := broken_byte(row)) is not None:
                raise ValueError(f"byte {byte} is not UTF-8")
            if not titles and (why := foreign(row)):
                raise ValueError(why)
            is_json = row.lstrip().startswith("{")
            article, title, category = _json_title(row) if is_json else _tsv_title(row)
            if not (title := log.plain(title)):
                raise ValueError("title: must be a text that is not empty")
        except ValueError as error:
            log.bad.add(BadRow(name_of(source), number, "", str(error)))
        else:
            titles[article] = (title, log.plain(category) if category else None)
    return titles


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
