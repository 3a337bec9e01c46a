"""How fast events are exported, and in how much memory.

    python -m loadtests.bench_export [--exposures 1000000] [--format parquet] [--redis URL]

Fills the streams of a Redis of its own, or of the one at URL, which must hold no events, with
made-up exposures of 100 candidates and a click for every tenth of them, then exports them in a
process of its own. Prints entries a second, the export's CPU time an entry, its highest resident
memory, and what the entries take in Redis and in the folder. A million exposures take about 4 GB of
Redis's memory.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import redis

from service.events.streams import PARTITIONS, partition_of, stream_key
from tests.parts.redis import RedisServer
from tests.parts.streams import feedback, request_id

CANDIDATES, QUERIES, USERS = 100, 8, 50_000
PROCESSES = 8
PIPELINE = 500
WORDS = ("tents", "rivers", "elections", "trains", "football", "stoves", "weather", "markets")


def exposures(count: int, start_ms: int) -> Iterator[dict[str, Any]]:
    """Answers of eight processes to 50,000 users, a millisecond apart."""
    chance = random.Random(1)
    for place in range(count):
        process, number, at_ms = place % PROCESSES, place // PROCESSES, start_ms + place
        first = chance.randrange(100_000)
        yield {
            "v": 1,
            "id": request_id(at_ms, process, number),
            "at": at_ms,
            "process": process,
            "seq": number,
            "user": f"user-{chance.randrange(USERS):06d}",
            "student": "interests-small@9",
            "places": [["small-10", "students", "control", "control", None]],
            "queries_from": "fresh",
            "candidates_from": "search",
            "degraded": [],
            "coverage": [1.0, 1.0],
            "queries": [
                [f"{' '.join(chance.sample(WORDS, 3))} {query}", 1.0, 40, 40, "student"]
                for query in range(QUERIES)
            ],
            "ids": [f"article-{first + one:08d}" for one in range(CANDIDATES)],
            "scores": [round(chance.random(), 4) for _ in range(CANDIDATES)],
            "matched": [[one % QUERIES, (one + 1) % QUERIES] for one in range(CANDIDATES)],
            "ms": [1.2, 81.5, 12.3, 0.7, 96.0],
            "signals": {"search": 20, "browse": 12, "news": 40},
        }


def fill(client: redis.Redis, count: int) -> int:
    """Write them; returns how many entries there are then."""
    if any(client.exists(stream_key(partition)) for partition in range(PARTITIONS)):
        sys.exit("this Redis holds events already: name another")
    start_ms = int(time.time() * 1000) - count - 60_000
    pipeline, waiting = client.pipeline(transaction=False), 0
    for place, one in enumerate(exposures(count, start_ms)):
        key = stream_key(partition_of(one["process"]))
        given: list[tuple[str, Any]] = [("x", one)]
        if place % 10 == 0:
            given.append(("f", feedback(one, f"event-{place}", one["ids"][3])))
        for kind, entry in given:
            name: Any = f"{one['at'] + 20}-{1 if kind == 'x' else 2}"
            pipeline.xadd(key, {"k": kind, "d": orjson.dumps(entry)}, id=name)
        waiting += 1
        if waiting >= PIPELINE:
            pipeline.execute()
            waiting = 0
    pipeline.execute()
    return sum(client.xlen(stream_key(partition)) for partition in range(PARTITIONS))


@contextmanager
def some_redis(url: str | None) -> Iterator[str]:
    """A Redis to fill."""
    if url is not None:
        yield url
        return
    server = RedisServer().start()
    try:
        yield server.url
    finally:
        server.close()


def main() -> None:
    """Fill, export, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exposures", type=int, default=1_000_000)
    parser.add_argument("--format", choices=["parquet", "jsonl"], default="parquet")
    parser.add_argument("--redis")
    given = parser.parse_args()
    with some_redis(given.redis) as url, tempfile.TemporaryDirectory() as folder:
        with redis.Redis.from_url(url) as client:
            entries = fill(client, given.exposures)
            stored = client.info("memory")["used_memory"]
        sys.stdout.write(f"{entries:,} entries in {stored / 2**20:,.0f} MiB of Redis\n")
        command = ["-m", "service", "events", "export", folder, "--format", given.format]
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, *command],
            env={**os.environ, "INTERESTS_REDIS_URL": url},
            check=True,
        )
        seconds = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    cpu_us = (used.ru_utime + used.ru_stime) / entries * 1e6
    sys.stdout.write(
        f"{given.format}: {entries / seconds:,.0f} entries/s, {cpu_us:,.0f} µs of CPU time an "
        f"entry, peak {used.ru_maxrss / 1024:,.0f} MiB resident, {size / 2**20:,.0f} MiB of files\n"
    )


if __name__ == "__main__":
    main()
