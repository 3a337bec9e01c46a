"""What nearness should count beside words: readers of known topics, searched both ways.

    python -m models.studies.meaning_weight --encoder .local/encoders/all-minilm-l6-v2/1 \\
        --articles reuters21578.jsonl.gz

Newswire items carry topics that editors gave them, so no encoder has made this ground. A reader
follows three topics: the signals are titles of older items of theirs, with titles of others as
noise; what counts as right are the newer items of these topics. Every signal is a query, searched
by words and by meaning in the embedded index as it is served, and fused as it is served. Printed
for each weight: the share of the first ten that is right, and the share of what is right among the
first fifty (at most fifty of it counted), with the half width of a 95 % interval over readers.

Topics of newswire are about goods and rates: this tells weights apart and says nothing of how good
the answers are for readers of newspapers.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from models.studies.script import run_script
from service.encoding.indexing import OnnxArticles
from service.encoding.manifest import load_encoder_manifest
from service.encoding.onnx import OnnxEncoder, OnnxModel
from service.records import Article, Filters, Query, Run
from service.retrieval.fusion import FusionSettings, fuse
from service.retrieval.indexes import loading
from service.retrieval.indexes.tantivy import TantivyIndex
from service.retrieval.indexes.tantivy_writer import TantivyWriter
from service.retrieval.meaning import IndexSearch

_TOPICS, _OF_EACH, _NOISE = 3, 4, 6
_LEAST, _MOST = 20, 400
"""Newer items of a topic that can be followed: enough to find, not half of the wire."""
_FIRST, _FAR = 10, 50
_WEIGHTS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class Reader:
    """What a reader did, and the ids of what would be right, of each topic that is followed."""

    signals: list[str]
    topics: tuple[frozenset[str], ...]

    @property
    def right(self) -> frozenset[str]:
        """The ids of all topics."""
        return frozenset().union(*self.topics)


@dataclass(frozen=True, slots=True)
class Item:
    """A newswire item and the topics that editors gave it."""

    id: str
    title: str
    body: str
    topics: frozenset[str]


def main() -> None:
    """Read the arguments, search once for each reader, fuse with each weight, print a table."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("--encoder", type=Path, required=True, help="a built encoder's folder")
    cli.add_argument("--articles", type=Path, required=True, help="with title, body and topics")
    cli.add_argument("--readers", type=int, default=150)
    cli.add_argument("--newer", type=int, default=6_000, help="items that are searched")
    chosen = cli.parse_args()
    console = Console()
    with console.status("indexing and searching"):
        readers, found = searched_readers(
            chosen.encoder, chosen.articles, chosen.readers, chosen.newer
        )
    table = Table("weight of meaning", "right of 10", "right found in 50", box=SIMPLE_HEAD)
    for weight in _WEIGHTS:
        table.add_row(f"{weight:g}", *_measured(found, readers, weight))
    console.print(table)


def make_readers(
    older: Sequence[Item], newer: Sequence[Item], count: int, chance: random.Random
) -> list[Reader]:
    """Readers of topics that have enough newer items, and older ones to have read."""
    by_topic: dict[str, list[Item]] = {}
    for item in older:
        for topic in item.topics:
            by_topic.setdefault(topic, []).append(item)
    right: dict[str, set[str]] = {}
    for item in newer:
        for topic in item.topics:
            right.setdefault(topic, set()).add(item.id)
    followed = sorted(
        topic
        for topic, ids in right.items()
        if _LEAST <= len(ids) <= _MOST and len(by_topic.get(topic, ())) >= _OF_EACH
    )
    readers = []
    for _ in range(count):
        topics = chance.sample(followed, _TOPICS)
        read = [item for topic in topics for item in chance.sample(by_topic[topic], _OF_EACH)]
        others = [item for item in chance.sample(older, 60) if not item.topics & set(topics)]
        titles = [item.title for item in (*read, *others[:_NOISE])]
        chance.shuffle(titles)
        readers.append(Reader(titles, tuple([frozenset(right[topic]) for topic in topics])))
    return readers


def searched_readers(
    encoder: Path, articles: Path, count: int, newer: int
) -> tuple[list[Reader], list[tuple[Run, ...]]]:
    """Readers of the last `newer` items of a file, and what each one's queries found there."""
    items = _read(articles)
    older, latest = items[:-newer], items[-newer:]
    readers = make_readers(older, latest, count, random.Random(7))
    return readers, asyncio.run(_search(encoder, latest, readers))


def _read(path: Path) -> list[Item]:
    with gzip.open(path) as file:
        rows = [orjson.loads(line) for line in file]
    return [
        Item(row["id"], row["title"], row["body"], frozenset(row["topics"]))
        for row in rows
        if row.get("title") and row.get("topics")
    ]


async def _search(
    folder: Path, newer: Sequence[Item], readers: Sequence[Reader]
) -> list[tuple[Run, ...]]:
    manifest = load_encoder_manifest(folder)
    model = OnnxModel(manifest, folder)
    articles = [Article(item.id, item.title, abstract=item.body[:300]) for item in newer]
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory() as scratch:
        writer = TantivyWriter(Path(scratch))
        await loading.load(writer, articles, encoder=OnnxArticles(model))
        index, encoder = TantivyIndex(Path(scratch)), OnnxEncoder(model)
        search = IndexSearch(index, encoder, manifest.unrelated)
        found = []
        for reader in readers:
            queries = [Query(text) for text in reader.signals]
            answer = await search.search(queries, 50, Filters(), loop.time() + 60)
            found.append(
                tuple(
                    [
                        Run(query, hits or (), near=near)
                        for query, hits, near in zip(queries, answer.hits, answer.near, strict=True)
                    ]
                )
            )
        await encoder.close()
        await index.close()
    return found


def _measured(
    found: Sequence[tuple[Run, ...]], readers: Sequence[Reader], weight: float
) -> tuple[str, str]:
    settings = replace(FusionSettings(), meaning_weight=weight, category_share=1.0)
    first, far = [], []
    for runs, reader in zip(found, readers, strict=True):
        listed = fuse(runs, limit=_FAR, now_ms=0, exclude=(), settings=settings)
        right = [candidate.article.id in reader.right for candidate in listed]
        first.append(sum(right[:_FIRST]) / _FIRST)
        far.append(sum(right) / min(_FAR, len(reader.right)))
    return _with_interval(first), _with_interval(far)


def _with_interval(values: Sequence[float]) -> str:
    half = 1.96 * float(np.std(values)) / len(values) ** 0.5
    return f"{float(np.mean(values)):.3f} ± {half:.3f}"


if __name__ == "__main__":
    run_script(main)
