"""Time and memory of the verdict of an experiment with a million answers.

    python -m loadtests.report_scale [--exposures 1000000] [--folder FOLDER]

Writes a folder of exported events (kept where --folder names it, and used again if it is there):
two weeks of 250,000 users in four partitions, 100 candidates an answer, three articles of each
answer shown, a tenth of these clicked and read. Then `interests experiments report` runs in a
process of its own. Printed are its wall and CPU
time and the most memory that it held, with what it said.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

DAYS, PARTITIONS, SHOWN, CANDIDATES = 14, 4, 3, 100
START_MS, DAY_MS = 1_764_547_200_000, 86_400_000
_TIME = pa.timestamp("ms", "UTC")


def write(folder: Path, exposures: int) -> None:
    """Write the segments, one a partition and day."""
    random = np.random.default_rng(1)
    each = exposures // (DAYS * PARTITIONS)
    users_here = exposures // 4 // PARTITIONS
    for day in range(DAYS):
        for partition in range(PARTITIONS):
            at_ms = START_MS + day * DAY_MS + np.sort(random.integers(DAY_MS, size=each))
            user = partition * users_here + random.integers(users_here, size=each)
            segment = folder / f"{partition}_{at_ms[0]}-0_{at_ms[-1]}-0"
            segment.mkdir(parents=True)
            shown = _exposures(random, f"{partition}-{day}", user, at_ms)
            parquet.write_table(shown, segment / "exposures.parquet", compression="zstd")
            told = _feedback(random, shown, user, at_ms)
            parquet.write_table(told, segment / "feedback.parquet", compression="zstd")


def _exposures(
    random: np.random.Generator, prefix: str, user: np.ndarray, at_ms: np.ndarray
) -> pa.Table:
    rows = len(user)
    articles = _articles(random, rows * CANDIDATES)
    matched = pa.ListArray.from_arrays(
        np.arange(rows * CANDIDATES + 1, dtype=np.int32),
        pa.array(random.integers(8, size=rows * CANDIDATES, dtype=np.int32)),
    )
    scores = pa.array(random.random(rows * CANDIDATES))
    candidates = pa.StructArray.from_arrays([articles, scores, matched], ["id", "score", "matched"])
    total = random.gamma(4.0, 20.0, size=rows)
    timings = {"signals": 2.0, "generate": 60.0, "retrieve": 12.0, "fuse": 3.0}
    signals = ("search", "browse", "purchase", "video", "news")
    return pa.table(
        {
            "request_id": [f"{prefix}-{number}" for number in range(rows)],
            "at": pa.array(at_ms).cast(_TIME),
            "user_id": _users(user),
            "degraded": pa.array(
                [["generation_timeout"] if one else [] for one in random.random(rows) < 0.02]
            ),
            "coverage_queries": pa.array(np.where(random.random(rows) < 0.99, 1.0, 0.5)),
            "placements": _placements(user),
            "candidates": pa.ListArray.from_arrays(
                np.arange(0, rows * CANDIDATES + 1, CANDIDATES, dtype=np.int32), candidates
            ),
            "timings_ms": pa.StructArray.from_arrays(
                [*(pa.array(np.full(rows, ms)) for ms in timings.values()), pa.array(total)],
                [*timings, "total"],
            ),
            "signals": pa.StructArray.from_arrays(
                [pa.array(random.integers(4, size=rows, dtype=np.int32)) for _ in signals],
                list(signals),
            ),
        }
    )


def _feedback(
    random: np.random.Generator, shown: pa.Table, user: np.ndarray, at_ms: np.ndarray
) -> pa.Table:
    """Impressions of the first articles of each answer, then clicks and their reading times."""
    rows = np.repeat(np.arange(len(user)), SHOWN)
    place = np.tile(np.arange(SHOWN), len(user))
    rate = 0.1 * np.where(_arm(user[rows]) == 1, 1.03, 1.0)
    clicked = random.random(len(rows)) < rate
    row = np.concatenate([rows, rows[clicked], rows[clicked]])
    article = np.concatenate([place, place[clicked], place[clicked]])
    clicks = int(clicked.sum())
    dwell = np.zeros(len(row), dtype=np.int64)
    dwell[-clicks:] = random.integers(1_000, 120_000, size=clicks)
    request = shown["request_id"].take(pa.array(row))
    return pa.table(
        {
            "request_id": request,
            "user_id": _users(user[row]),
            "kind": ["impression"] * len(rows) + ["click"] * clicks + ["dwell"] * clicks,
            "article_id": pa.array([f"article-{one}" for one in article]),
            "at": pa.array(at_ms[row] + 5_000).cast(_TIME),
            "dwell_ms": pa.array(dwell, mask=dwell == 0),
            "exposed_at": pa.array(at_ms[row]).cast(_TIME),
            "placements": _placements(user[row]),
        }
    )


def _arm(user: np.ndarray) -> np.ndarray:
    return (user * 2_654_435_761 % 2**32) >> 31


def _users(user: np.ndarray) -> pa.Array:
    return pa.array([f"user-{one:012d}" for one in user])


def _articles(random: np.random.Generator, count: int) -> pa.Array:
    names = pa.array([f"article-{number:06d}" for number in range(20_000)])
    codes = pa.array(random.integers(20_000, size=count, dtype=np.int32))
    return pa.DictionaryArray.from_arrays(codes, names).cast(pa.string())


def _placements(user: np.ndarray) -> pa.Array:
    arm = pa.array(np.array(["control", "other"])[_arm(user)])
    same = [pa.array([word] * len(user)) for word in ("scale", "students")]
    reason = pa.nulls(len(user), pa.string())
    one = pa.StructArray.from_arrays(
        [*same, arm, arm, reason], ["key", "layer", "assigned", "served", "reason"]
    )
    return pa.ListArray.from_arrays(np.arange(len(user) + 1, dtype=np.int32), one)


def main() -> None:
    """Write, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--exposures", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="interests-report-") as scratch:
        folder = given.folder or Path(scratch) / "events"
        if not folder.exists():
            write(folder, given.exposures)
        command = [sys.executable, "-m", "service", "experiments", "report", "scale"]
        command += ["--events", str(folder), "--out", str(Path(scratch) / "report")]
        started = time.monotonic()
        subprocess.run(command, check=True)
        took = time.monotonic() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu, held = used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20
    sys.stdout.write(f"{took:.1f} s ({cpu:.1f} s of CPU time), {held:.2f} GiB at the most\n")


if __name__ == "__main__":
    main()
