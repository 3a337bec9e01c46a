"""How well and how fast encoders find articles: before one is chosen, and when another is offered.

    python -m models.studies.encoders --encoders .local/encoders/*/* \\
        --articles huffpost.jsonl.gz --topics reuters21578.jsonl.gz

Three grounds that no encoder of ours has made:

- *abstract*: an article's abstract is the query, its title one of all titles: the share of queries
  whose own title is among the first ten (known-item search);
- *category*: an article's title is the query: the share of the ten nearest others that are of its
  category;
- *topics*: the same over newswire items and their topics, where any topic in common counts.

Times are of CPU, on one core: of one query, of fifteen, of 1,000 articles.
"""

from __future__ import annotations

import argparse
import gzip
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from models.studies.script import run_script
from service.encoding.manifest import load_encoder_manifest
from service.encoding.onnx import OnnxModel
from service.errors import ConfigurationError
from service.records import TextRole, Vectors

_NEAREST = 10
_TIMED = 50

Encode = Callable[[Sequence[str], TextRole], Vectors]


@dataclass(frozen=True, slots=True)
class Texts:
    """What is searched. `labels`: what two texts about the same thing share."""

    titles: list[str]
    abstracts: list[str]
    labels: list[frozenset[str]]


def read_articles(path: Path, count: int, labels: str, abstract: str) -> Texts:
    """The newest `count` rows that have all three fields. Raises `ConfigurationError`."""
    try:
        with gzip.open(path) as file:
            rows = [orjson.loads(line) for line in file]
    except (OSError, orjson.JSONDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as JSON lines in gzip") from error
    whole = [row for row in rows if row.get("title") and row.get(abstract) and row.get(labels)]
    if not whole:
        raise ConfigurationError(f"{path}: no row has title, {abstract} and {labels}")
    newest = whole[-count:]
    return Texts(
        [row["title"] for row in newest],
        [row[abstract] for row in newest],
        [_labels(row[labels]) for row in newest],
    )


def _labels(found: str | list[str]) -> frozenset[str]:
    return frozenset([found] if isinstance(found, str) else found)


def known_item(texts: Texts, encode: Encode, queries: int) -> float:
    """The share of abstracts whose own title is among the first ten."""
    titles = encode(texts.titles, "article")
    asked = encode(texts.abstracts[:queries], "query")
    scores = asked @ titles.T
    own = scores[np.arange(len(asked)), np.arange(len(asked))]
    return float(np.mean((scores > own[:, None]).sum(axis=1) < _NEAREST))


def neighbours(texts: Texts, encode: Encode, queries: int) -> float:
    """The share of the ten nearest others that have a label in common."""
    articles = encode(
        [f"{title} {rest}" for title, rest in zip(texts.titles, texts.abstracts, strict=True)],
        "article",
    )
    asked = encode(texts.titles[:queries], "query")
    scores = asked @ articles.T
    scores[np.arange(len(asked)), np.arange(len(asked))] = -2
    nearest = np.argpartition(-scores, _NEAREST, axis=1)[:, :_NEAREST]
    hits = [
        bool(texts.labels[i] & texts.labels[other])
        for i, others in enumerate(nearest)
        for other in others
    ]
    return float(np.mean(hits))


def main() -> None:
    """Read the arguments, measure, print a table."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("--encoders", type=Path, nargs="+", required=True, help="built folders")
    cli.add_argument("--articles", type=Path, required=True, help="with abstract and category")
    cli.add_argument("--topics", type=Path, required=True, help="with body and topics")
    cli.add_argument("--count", type=int, default=3_000, help="texts of each file")
    cli.add_argument("--queries", type=int, default=1_000)
    chosen = cli.parse_args()
    news = read_articles(chosen.articles, chosen.count, "category", "abstract")
    wire = read_articles(chosen.topics, chosen.count, "topics", "body")
    console = Console()
    heads = ("encoder", "abstract", "category", "topics", "1 query ms", "15 ms", "1,000 articles s")
    table = Table(*heads, box=SIMPLE_HEAD)
    table.columns[0].overflow = "fold"  # names are what the figures are of: none is cut
    with console.status("encoding") as status:
        for folder in chosen.encoders:
            manifest = load_encoder_manifest(folder)
            status.update(manifest.key)
            encode = OnnxModel(manifest, folder).encode
            table.add_row(
                manifest.key,
                f"{known_item(news, encode, chosen.queries):.3f}",
                f"{neighbours(news, encode, chosen.queries):.3f}",
                f"{neighbours(wire, encode, chosen.queries):.3f}",
                *_times(encode, news),
            )
    console.print(table)


def _times(encode: Encode, texts: Texts) -> tuple[str, str, str]:
    def median_ms(size: int) -> float:
        taken = []
        for turn in range(_TIMED):
            batch = texts.titles[turn * size : (turn + 1) * size]
            began = time.process_time()
            encode(batch, "query")
            taken.append(time.process_time() - began)
        return float(np.median(taken)) * 1000

    began = time.process_time()
    encode(
        [f"{t} {a}" for t, a in zip(texts.titles[:1000], texts.abstracts[:1000], strict=True)],
        "article",
    )
    articles_s = time.process_time() - began
    return f"{median_ms(1):.1f}", f"{median_ms(15):.1f}", f"{articles_s:.1f}"


if __name__ == "__main__":
    run_script(main)
