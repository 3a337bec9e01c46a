"""Articles out of the rows of files. Pure.

A row of JSON lines is an object with `id` and `title`, and optionally `abstract`, `body`,
`category`, `entities` (a list of names), `published` and `popularity`. The date may have another of
the names that feeds and archives give it. Other keys are passed over.
A row of MIND's format has eight columns: id, category, subcategory, title, abstract, URL, and the
entities of title and abstract as JSON (https://github.com/msnews/msnews.github.io).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import orjson

from service.dates import parse_time
from service.errors import InvalidInput
from service.limits import ARTICLE_ID_BYTES, fits_article_id
from service.records import Article
from service.retrieval.indexes.parquet_articles import column_of

_MIND_COLUMNS = 8
_MAX_NAME = 256
"""Characters of a category or an entity."""
_DATES = (
    "published",
    "published_at",
    "publishedat",
    "published_date",
    "published_time",
    "publish_date",
    "publication_date",
    "pubdate",
    "pub_date",
    "datepublished",
    "date_published",
    "date",
)
"""What a date of publication is called, in lower case; the first one that is there counts."""


def from_json(row: str, published_ms: int) -> Article:
    """An article of a line of JSON; `published_ms` where it has no date. Raises `InvalidInput`."""
    fields = object_of(row)
    return _article(fields, _published(fields, published_ms))


def from_parquet(fields: Mapping[str, Any], published_ms: int) -> Article:
    """An article of what `parquet_fields` gives; otherwise as `from_json`."""
    known_ms = fields["published"]
    try:
        return _article(fields, published_ms if known_ms is None else known_ms)
    except InvalidInput as error:
        raise InvalidInput(str(error), field=column_of(error.field or "")) from error


def _article(fields: Mapping[str, Any], published_ms: int) -> Article:
    return Article(
        id=article_id(fields),
        title=text_of(fields, "title", required=True),
        abstract=text_of(fields, "abstract"),
        body=text_of(fields, "body"),
        category=_category(fields),
        entities=_names(fields, "entities"),
        published_ms=published_ms,
        popularity=_popularity(fields.get("popularity")),
    )


def _published(fields: Mapping[str, Any], undated_ms: int) -> int:
    lowered = {key.lower(): key for key in fields}
    for known in _DATES:
        key = lowered.get(known)
        if key is not None and fields[key] not in (None, ""):
            return parse_time(fields[key], key)
    return undated_ms


def from_mind(row: str, published_ms: int) -> Article:
    """An article of a row of MIND's news.tsv; otherwise as `from_json`."""
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
        id=article_id(fields),
        title=text_of(fields, "title", required=True),
        abstract=abstract.strip(),
        category=_category(fields),
        entities=_names({"entities": list(dict.fromkeys(labels))}, "entities"),
        published_ms=published_ms,
    )


def object_of(row: str) -> dict[str, Any]:
    """The fields of a line of JSON. Raises `InvalidInput` where it is no object."""
    try:
        fields = orjson.loads(row)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise InvalidInput("not a JSON object: one article a line is wanted")
    return fields


def id_of(fields: Mapping[str, Any]) -> str:
    """The id, as a text. Raises `InvalidInput` where there is none."""
    value = fields.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput("must be a text that is not empty", field="id")
    return value.strip()


def article_id(fields: Mapping[str, Any]) -> str:
    """The id of an article that is to be served. Raises `InvalidInput` for one that is too long."""
    id_ = id_of(fields)
    if not fits_article_id(id_):
        raise InvalidInput(
            f"is longer than {ARTICLE_ID_BYTES} bytes: no reader could mark it as read", field="id"
        )
    return id_


def text_of(fields: Mapping[str, Any], field: str, *, required: bool = False) -> str:
    """A text without blanks at its ends, empty where there is none. Raises `InvalidInput`."""
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
    category = text_of(fields, "category")
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
