"""Time and memory of the embedded index's search by meaning, which compares every article.

    OPENBLAS_NUM_THREADS=1 taskset -c 0 python -m loadtests.bench_vectors [--articles 10000 100000]

Articles have made-up titles of ten words and abstracts of forty, and vectors of 384 numbers drawn
at random: what is compared does not matter to the time. A search is of 15 texts of three words, 50
hits each. Printed for each number of articles:

- `load`: building the generation, vectors given;
- `open`: a new `TantivyIndex` up to the end of its first search (copying, checksums);
- `near`: `nearest` alone, hits with their titles included; `half`: the same with a filter that half
  of the articles satisfy;
- `words`, `both`: `TantivyIndex.search` without vectors and with them;
- `upsert`: one article changed in the live index;
- `file`: the file of vectors; `memory`: by how much the first search lets the process grow, pages
  mapped from disk included, which the system takes back when it needs them. On Linux only.

Medians of all rounds; those of `load`, `open` and `upsert` of one.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import numpy as np

from service.records import Article, Encoded, Filters, Vectors
from service.retrieval.indexes import tantivy_files as files
from service.retrieval.indexes.loading import EncoderOf
from service.retrieval.indexes.tantivy import TantivyIndex
from service.retrieval.indexes.tantivy_near import nearest
from service.retrieval.indexes.tantivy_snapshots import Snapshots
from service.retrieval.indexes.tantivy_writer import TantivyWriter

ENCODER = EncoderOf("made-up@1", 384)
TEXTS, SIZE, BATCH = 15, 50, 500
NEWEST_MS = 1_700_000_000_000


def make_articles(count: int, words: list[str], rng: random.Random) -> list[Article]:
    """Articles a minute apart."""
    return [
        Article(
            id=f"n{i:07d}",
            title=" ".join(rng.choices(words, k=10)),
            abstract=" ".join(rng.choices(words, k=40)),
            category=f"category {i % 17}",
            published_ms=NEWEST_MS - 60_000 * i,
            popularity=rng.random(),
        )
        for i in range(count)
    ]


def make_vectors(count: int, rng: np.random.Generator) -> Vectors:
    """Directions drawn at random."""
    drawn = rng.standard_normal((count, ENCODER.dimension), np.float32)
    unit: Vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit


def milliseconds(work: Callable[[], object], rounds: int = 1) -> float:
    """The median time of some work."""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)


def main() -> None:
    """Measure, and print a line for each number of articles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=50)
    given = parser.parse_args()
    out = sys.stdout.write
    names = "articles", "load", "open", "near", "half", "words", "both", "upsert", "file", "memory"
    out("".join(f"{name:>10}" for name in names) + "  (ms; MB)\n")
    for count in given.articles:
        with tempfile.TemporaryDirectory() as folder:
            values = measured(Path(folder), count, given.rounds)
        out("".join(f"{value:10.1f}" for value in values) + "\n")


def measured(folder: Path, count: int, rounds: int) -> list[float]:
    """The values of one line, in the order of its names."""
    rng, drawing = random.Random(7), np.random.default_rng(7)
    words = ["".join(rng.choices("abcdefgh", k=5)) for _ in range(3000)]
    articles = make_articles(count, words, rng)
    texts = [" ".join(rng.choices(words, k=3)) for _ in range(TEXTS)]
    encoded = Encoded(ENCODER.key, make_vectors(TEXTS, drawing))
    half = Filters(published_after_ms=NEWEST_MS - 60_000 * (count // 2))
    writer = TantivyWriter(folder)
    loop = asyncio.new_event_loop()

    def wait(work: Awaitable[object]) -> None:
        loop.run_until_complete(asyncio.wait_for(work, 600))

    async def load() -> None:
        build = await writer.begin(ENCODER)
        for start in range(0, count, BATCH):
            batch = articles[start : start + BATCH]
            await build.add(batch, make_vectors(len(batch), drawing))
        await build.publish()

    def search(given: Encoded | None) -> None:
        wait(index.search(texts, SIZE, Filters(), loop.time() + 60, given))

    loading = milliseconds(lambda: wait(load()))
    index = TantivyIndex(folder)
    before = resident()
    opening = milliseconds(lambda: search(encoded))
    memory = resident() - before
    table = Snapshots(folder).current().table
    assert table is not None
    near, near_half = (
        milliseconds(partial(nearest, table, encoded.vectors, SIZE, f, lambda: True), rounds)
        for f in (Filters(), half)
    )
    by_words, both = (milliseconds(partial(search, given), rounds) for given in (None, encoded))
    changing = milliseconds(lambda: wait(writer.upsert(articles[:1], encoded.vectors[:1])))
    (file,) = files.live(folder).glob("vectors-*")
    wait(index.close())
    loop.close()
    size = file.stat().st_size / 1e6
    return [count, loading, opening, near, near_half, by_words, both, changing, size, memory]


def resident() -> float:
    """The process's memory, in MB, of Linux's account."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


if __name__ == "__main__":
    main()
