"""Time to fuse 20 lists of 50, beside ranx where that is installed.

    python -m loadtests.bench_fusion [--rounds 300] [--length 50]

Three workloads: every list draws its articles from a pool of 400, of 1,000 or of 20,000 (the last
is nearly disjoint, the worst case). Eight queries have weight 1 and twelve 1/2, as when a student's
list is searched beside a user's own signals. Scores fall along a list as BM25 does. Titles are ten
words long, dates and popularity vary.

- `fuse`: all of it, titles seen before (their word pairs come from a cache);
- `fuse, new titles`: the same with that cache emptied before every call;
- `ranx sum`: ranx.fuse(method="sum") on runs already built, compiled, equal weights: sums of scores
  alone, without priors, near-duplicates, quotas, filter or the queries that found an article;
- `ranx with runs built`: the same out of dictionaries of ids and scores, as a service has them.

Medians and fastest of all rounds, in microseconds; the systems take turns within a round.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from service.records import Candidate, Hit, Query, Run
from service.retrieval import titles
from service.retrieval.articles import ArticleTable, Hits
from service.retrieval.fusion import FusionSettings, fuse

NOW_MS = 1_700_000_000_000
LISTS, LENGTH, LIMIT = 20, 50, 100


def make_runs(pool: int, length: int, rng: random.Random) -> list[Run]:
    """20 lists of `length` out of `pool` articles, as an index returns them: rows of one table."""
    table = ArticleTable()
    words = ["".join(rng.choices("abcdefgh", k=5)) for _ in range(3000)]
    hits = [
        Hit(
            id=f"n{i:06d}",
            title=" ".join(rng.choices(words, k=10)),
            category=f"category {i % 17}",
            published_ms=NOW_MS - rng.randrange(10**10),
            popularity=rng.random() * 100,
            score=0.0,
        )
        for i in range(pool)
    ]
    return [
        Run(
            Query(f"query {q}", 1.0 if q < 8 else 0.5),
            Hits.of(
                [
                    replace(hit, score=(10 + q) / (1 + rank) ** 0.25)
                    for rank, hit in enumerate(rng.sample(hits, length))
                ],
                table,
            ),
        )
        for q in range(LISTS)
    ]


def systems_for(runs: list[Run]) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    settings = FusionSettings()

    def ours() -> tuple[Candidate, ...]:
        return fuse(runs, limit=LIMIT, now_ms=NOW_MS, exclude=frozenset(), settings=settings)

    def ours_new_titles() -> tuple[Candidate, ...]:
        titles._shingles.cache_clear()
        return ours()

    systems: dict[str, Callable[[], object]] = {"fuse": ours}
    if importlib.util.find_spec("ranx") is not None:
        import ranx

        scores = [{"user": {hit.id: hit.score for hit in run.hits}} for run in runs]
        built = [ranx.Run(run, name=str(i)) for i, run in enumerate(scores)]

        def theirs() -> object:
            return ranx.fuse(runs=built, norm=None, method="sum")

        def theirs_built() -> object:
            fresh = [ranx.Run(run, name=str(i)) for i, run in enumerate(scores)]
            return ranx.fuse(runs=fresh, norm=None, method="sum")

        systems |= {"ranx sum": theirs, "ranx with runs built": theirs_built}
    return systems | {"fuse, new titles": ours_new_titles}


def time_all(systems: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Microseconds of each call, the systems taking turns."""
    taken: dict[str, list[float]] = {name: [] for name in systems}
    for call in systems.values():
        call()
        call()
    for _ in range(rounds):
        for name, call in systems.items():
            call()
            started = time.perf_counter()
            call()
            taken[name].append((time.perf_counter() - started) * 1e6)
    return taken


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="Time to fuse 20 lists.")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--length", type=int, default=LENGTH, help="hits of each list")
    chosen = parser.parse_args()
    out = sys.stdout.write
    out(f"{'articles':>8}  {'system':<22}{'median µs':>10}{'fastest µs':>12}\n")
    for pool in (400, 1_000, 20_000):
        runs = make_runs(pool, chosen.length, random.Random(1))
        distinct = len({hit.id for run in runs for hit in run.hits})
        for name, taken in time_all(systems_for(runs), chosen.rounds).items():
            median, fastest = statistics.median(taken), min(taken)
            out(f"{distinct:>8}  {name:<22}{median:>10.0f}{fastest:>12.0f}\n")


if __name__ == "__main__":
    main()
