"""Articles for load tests: the demo's, and as many more in other words as are wanted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from models.demo.__main__ import article_row
from models.demo.articles import demo_articles


def write_articles(count: int, path: Path, seed: int = 1) -> None:
    """The file that `interests index load` reads, of so many articles."""
    with path.open("wb") as file:
        for row in article_rows(count, seed):
            file.write(orjson.dumps(row) + b"\n")


def article_rows(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """The demo's articles first; then again with words drawn from all of their category's.

    So the terms and how often they occur stay as they are there.
    """
    rows = [article_row(article) for article in demo_articles()]
    words: dict[str, list[str]] = {}
    for row in rows:
        words.setdefault(row["category"], []).extend(f"{row['title']} {row['abstract']}".split())
    rng = random.Random(seed)
    for number in range(count):
        turn, at = divmod(number, len(rows))
        row = rows[at]
        if turn:
            drawn = {
                field: " ".join(rng.choices(words[row["category"]], k=len(row[field].split())))
                for field in ("title", "abstract", "body")
            }
            row = {**row, **drawn, "id": f"{row['id']}-{turn}"}
        yield row
