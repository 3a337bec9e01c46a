"""Files of articles: JSON lines of our own, and MIND's `news.tsv`, either gzipped, streamed.

A row of JSON lines is an object with `id` and `title`, and optionally `abstract`, `body`,
`category`, `entities` (a list of names), `published` and `popularity`. The date may have another of
the names that feeds and archives give it. Other keys are passed over.
A row of MIND's format has eight columns: id, category, subcategory, title, abstract, URL, and the
entities of title and abstract as JSON (https://github.com/msnews/msnews.github.io).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import orjson

from service.dates import parse_time
from service.errors import InvalidInput
from service.records import Article
from service.rows import BadRow, broken_byte, foreign, name_of, read_lines
from service.words.markup import plain, spaced

_MIND_COLUMNS = 8
_MAX_ID_BYTES = 512
"""What OpenSearch takes as a document's id."""
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
    date of their own. The format follows from the name (`.tsv`, `.jsonl`, …), or from the first
    character when the name does not say. Raises `InvalidInput` for a file that cannot be read.
    """
    name = name_of(source)
    parse: Callable[[str, int], Article] | None = _format(source)
    for place, (line, row) in enumerate(read_lines(source)):
        parse = parse or (_from_json if row.lstrip()[:1] in "{[" else _from_mind)
        if (byte := broken_byte(row)) is not None:
            yield BadRow(name, line, "", f"byte {byte} is not UTF-8")
            continue
        try:
            if place == 0 and (why := foreign(row)):
                raise InvalidInput(why)
            article = parse(row.strip("\r\n"), published_ms)
            cleaned = _with_texts(article, plain)
            _text({"title": cleaned.title}, "title", required=True)
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
                id_ = _id(_object(id_))
            except InvalidInput as error:
                raise InvalidInput(f"{name_of(source)}:{line}: {error}", field="id") from error
        yield id_


def _format(source: str) -> Callable[[str, int], Article] | None:
    suffix = Path(source.lower().removesuffix(".gz")).suffix
    if suffix == ".tsv":
        return _from_mind
    return _from_json if suffix in {".json", ".jsonl", ".ndjson"} else None


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


def _from_json(row: str, published_ms: int) -> Article:
    fields = _object(row)
    return Article(
        id=_id(fields),
        title=_text(fields, "title", required=True),
        abstract=_text(fields, "abstract"),
        body=_text(fields, "body"),
        category=_category(fields),
        entities=_names(fields, "entities"),
        published_ms=_published(fields, published_ms),
        popularity=_popularity(fields.get("popularity")),
    )


def _published(fields: Mapping[str, Any], undated_ms: int) -> int:
    lowered = {key.lower(): key for key in fields}
    for known in _DATES:
        key = lowered.get(known)
        if key is not None and fields[key] not in (None, ""):
            return parse_time(fields[key], key)
    return undated_ms


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
        id=_id(fields),
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
    if len(value.strip().encode()) > _MAX_ID_BYTES:
        raise InvalidInput(f"is longer than {_MAX_ID_BYTES} bytes", field="id")
    return value.strip()


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
