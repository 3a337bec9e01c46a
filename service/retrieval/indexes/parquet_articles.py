"""Articles out of Parquet in the shape of EB-NeRD's `articles.parquet` (https://recsys.eb.dk)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from service.parquet import Column, read_table

_COLUMNS = {
    "id": Column("article_id", "id"),
    "title": Column("title", "text"),
    "abstract": Column("subtitle", "text", required=False),
    "body": Column("body", "text", required=False),
    "category": Column("category_str", "text", required=False),
    "entities": Column("ner_clusters", "texts", required=False),
    "published": Column("published_time", "time", required=False),
}
"""By the names that JSON lines have. What the data set counts of readers is left out: it counts on
after the moment that an evaluation looks at."""


def parquet_fields(source: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number, from 1, and fields of every row; those that it lacks are None.

    `published` is in milliseconds since 1970. Raises as `read_table` does.
    """
    for number, row in read_table(source, list(_COLUMNS.values())):
        yield number, {field: row[column.name] for field, column in _COLUMNS.items()}


def column_of(field: str) -> str:
    """What a field is called in the file."""
    return _COLUMNS[field].name if field in _COLUMNS else field
