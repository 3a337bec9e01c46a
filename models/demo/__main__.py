"""`python -m models.demo --out DIR`: write the demo articles and signals as JSON lines."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from models.demo.articles import day_of, demo_articles
from models.demo.users import DemoUser, demo_users
from service.files import whole_file
from service.records import Article


def main(argv: list[str] | None = None) -> None:
    """Write `articles.jsonl` and `signals.jsonl`; each appears whole or not at all."""
    parser = argparse.ArgumentParser(prog="python -m models.demo", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--seed", type=int, default=7, help="another seed, another corpus")
    parser.add_argument(
        "--newest", type=datetime.fromisoformat, help="time of the newest article (ISO 8601)"
    )
    args = parser.parse_args(argv)
    for path in write_demo(args.out, args.seed, args.newest):
        sys.stdout.write(f"{path}\n")


def write_demo(out: Path, seed: int = 7, newest: datetime | None = None) -> tuple[Path, Path]:
    """Write both files into `out`, which is made if need be. Returns their paths."""
    newest = day_of(newest)
    articles, signals = out / "articles.jsonl", out / "signals.jsonl"
    out.mkdir(parents=True, exist_ok=True)
    write_lines(articles, map(article_row, demo_articles(seed, newest)))
    write_lines(signals, signal_rows(demo_users(seed, newest)))
    return articles, signals


def article_row(article: Article) -> dict[str, Any]:
    """An article in the public format of `interests index load`."""
    return {
        "id": article.id,
        "title": article.title,
        "abstract": article.abstract,
        "body": article.body,
        "category": article.category,
        "entities": list(article.entities),
        "published": iso(article.published_ms),
        "popularity": article.popularity,
    }


def signal_rows(users: Iterable[DemoUser]) -> Iterator[dict[str, Any]]:
    """Users' signals in the public format of `interests signals load`."""
    for user in users:
        for signal in user.signals:
            yield {
                "user_id": user.user_id,
                "at": iso(signal.at_ms),
                "domain": signal.domain,
                "text": signal.text,
                "id": signal.id,
                "item": signal.item,
                "category": signal.category,
                "weight": signal.weight,
            }


def iso(at_ms: int) -> str:
    """Milliseconds since the epoch as ISO 8601 in UTC."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write JSON lines: all of them or none."""
    with whole_file(path) as file:
        for row in rows:
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()
