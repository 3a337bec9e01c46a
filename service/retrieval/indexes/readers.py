"""Files of articles: JSON lines of our own, and MIND's `news.tsv`, either gzipped, streamed.

A row of JSON lines is an object with `id` and `title`, and optionally `abstract`, `body`,
`category`, `entities` (a list of names), `published` and `popularity`. Other keys are passed over.
A row of MIND's format has eight columns: id, category, subcategory, title, abstract, URL, and the
entities of title and abstract as JSON (https://github.com/msnews/msnews.github.io).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import orjson

from service.dates import parse_time
from service.errors import InvalidInput
from service.limits import ARTICLE_ID_BYTES, fits_article_id
from service.records import Article
from service.rows import BadRow, broken_byte, name_of, read_lines

_MIND_COLUMNS = 8
_MAX_NAME = 256
"""Characters of a category or an entity."""


def read_articles(source: str, published_ms: int = 0) -> Iterator[Article | BadRow]:
    """Every row of a file as an article, or as what is wrong with it. Blank lines are passed over.

    `source` is a path, or `-` for standard input; `published_ms` is given to articles without a
    date of their own. The format follows from the name (`.tsv`, `.jsonl`, …), or from the first
    character when the name does not say. Raises `InvalidInput` for a file that cannot be read.
    """
    name = name_of(source)
    parse: Callable[[str, int], Article] | None = _format(source)
    for line, row in read_lines(source):
        parse = parse or (_from_json if row.lstrip()[:1] in "{[" else _from_mind)
        if (byte := broken_byte(row)) is not None:
            yield BadRow(name, line, "", f"byte {byte} is not UTF-8")
            continue
        try:
            yield parse(row.strip("\r\n"), published_ms)
        except InvalidInput as error:
            yield BadRow(name, line, error.field or "", str(error))


def read_ids(source: str) -> Iterator[str]:
    """Ids from a file or standard input (`-`): one a line, or JSON lines with an `id`."""
    for line, row in read_lines(source):
        id_ = row.strip()
        if id_.startswith("{"):
            try:
                id_ = _id(_object(id_))
            except InvalidInput as error:
                raise InvalidInput(f"{name_of(source)}:{line}: {error}", field="id") from error
        yield id_


def _format(source: str) -> Callable[[str, int], Article] | None:
    suffix = Path(source.lower().removesuffix(".gz")).suffix
    if suffix == ".tsv":
        return _from_mind
    return _from_json if suffix in {".json", ".jsonl", ".ndjson"} else None


def _from_json(row: str, published_ms: int) -> Article:
    fields = _object(row)
    published = fields.get("published")
    return Article(
        id=_article_id(fields),
        title=_text(fields, "title", required=True),
        abstract=_text(fields, "abstract"),
        body=_text(fields, "body"),
        category=_category(fields),
        entities=_names(fields, "entities"),
        published_ms=published_ms
        if published in (None, "")
        else parse_time(published, "published"),
        popularity=_popularity(fields.get("popularity")),
    )


def _from_mind(row: str, published_ms: int) -> Article:
    columns = row.split("\t")
    if len(columns) != _MIND_COLUMNS:
        raise InvalidInput(
            f"{len(columns)} columns where MIND's news.tsv has {_MIND_COLUMNS}, separated by tabs"
        )
    id_, category, _, title, abstract, _, in_title, in_abstract = columns
    fields = {"id": id_, "title": title, "category": category}
    labels = [
        *_labels("title_entities", in_title),
        *_labels("abstract_entities", in_abstract),
    ]
    return Article(
        id=_article_id(fields),
        title=_text(fields, "title", required=True),
        abstract=abstract.strip(),
        category=_category(fields),
        entities=_names({"entities": list(dict.fromkeys(labels))}, "entities"),
        published_ms=published_ms,
    )


def _object(row: str) -> dict[str, Any]:
    try:
        fields = orjson.loads(row)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise InvalidInput("not a JSON object: one article a line is wanted")
    return fields


def _id(fields: Mapping[str, Any]) -> str:
    value = fields.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput("must be a text that is not empty", field="id")
    return value.strip()


def _article_id(fields: Mapping[str, Any]) -> str:
    id_ = _id(fields)
    if not fits_article_id(id_):
        raise InvalidInput(
            f"is longer than {ARTICLE_ID_BYTES} bytes: no reader could mark it as read", field="id"
        )
    return id_


def _text(fields: Mapping[str, Any], field: str, *, required: bool = False) -> str:
    value = fields.get(field)
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise InvalidInput(f"must be a text, not {type(value).__name__}", field=field)
    if required and not value.strip():
        raise InvalidInput("must be a text that is not empty", field=field)
    return value.strip()


def _category(fields: Mapping[str, Any]) -> str:
    """The category; where there is none, the first of the topics that newswire archives give."""
    category = _text(fields, "category")
    if not category and "topics" in fields:
        category = next(iter(_names(fields, "topics")), "")
    if len(category) > _MAX_NAME:
        raise InvalidInput(f"is longer than {_MAX_NAME} characters", field="category")
    return category


def _names(fields: Mapping[str, Any], field: str) -> tuple[str, ...]:
    value = fields.get(field)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InvalidInput("must be a list of texts", field=field)
    return tuple(name[:_MAX_NAME] for name in value if name.strip())


def _popularity(value: object) -> float:
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput("must be a number", field="popularity")
    if not (isfinite(value) and 0 <= value <= 1e30):
        raise InvalidInput("must be between 0 and 1e30", field="popularity")
    return float(value)


def _labels(field: str, value: str) -> list[str]:
    try:
        entities = orjson.loads(value) if value.strip() else []
        return [entity["Label"] for entity in entities]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise InvalidInput("must be a JSON list of objects with a Label", field=field) from error
