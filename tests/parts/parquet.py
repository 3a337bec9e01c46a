"""Small logs in Parquet, of the shape of EB-NeRD and of our own invention."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

MAY_1 = datetime(2023, 5, 1, 8, 30)
MAY_1_MS = 1_682_929_800_000

STAMP = pa.timestamp("us")
ARTICLES = pa.schema(
    [
        ("article_id", pa.int32()),
        ("title", pa.string()),
        ("subtitle", pa.string()),
        ("body", pa.string()),
        ("published_time", STAMP),
        ("category_str", pa.string()),
        ("ner_clusters", pa.list_(pa.string())),
        ("total_pageviews", pa.int32()),
    ]
)
BEHAVIORS = pa.schema(
    [
        ("impression_id", pa.uint32()),
        ("article_id", pa.int32()),
        ("impression_time", STAMP),
        ("article_ids_inview", pa.list_(pa.int32())),
        ("article_ids_clicked", pa.list_(pa.int32())),
        ("user_id", pa.uint32()),
    ]
)
HISTORY = pa.schema(
    [
        ("user_id", pa.uint32()),
        ("impression_time_fixed", pa.list_(STAMP)),
        ("scroll_percentage_fixed", pa.list_(pa.float32())),
        ("article_id_fixed", pa.list_(pa.int32())),
        ("read_time_fixed", pa.list_(pa.float32())),
    ]
)


def write(path: Path, schema: pa.Schema, *rows: dict[str, Any], **options: Any) -> str:
    """The path of a file with these rows; what a row lacks is null."""
    parquet.write_table(pa.Table.from_pylist(list(rows), schema=schema), path, **options)
    return str(path)


def article(number: int, title: str, **more: Any) -> dict[str, Any]:
    return {"article_id": number, "title": title, "published_time": MAY_1} | more


def impression(number: int, user: int, **more: Any) -> dict[str, Any]:
    row = {"impression_id": number, "user_id": user, "impression_time": MAY_1}
    return row | {"article_ids_inview": [], "article_ids_clicked": []} | more


def history(user: int, *read: tuple[int, datetime]) -> dict[str, Any]:
    return {
        "user_id": user,
        "article_id_fixed": [number for number, _ in read],
        "impression_time_fixed": [at for _, at in read],
    }
