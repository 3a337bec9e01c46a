"""What the garbage collector holds up, by what is frozen at start and by its threshold.

    python -m loadtests.collector --student .local/students/interests-small/9/student.yaml

A real gateway over a real Redis and the embedded index with the demo, with no engine, is asked by
one caller, one request after the other, in turns of fresh processes. `python`: as the interpreter
does it. `frozen`: what start has built is never walked. With a number: a young collection only
after so many more objects were made than freed. `full` are collections of everything that is not
frozen: the long pauses. Times in milliseconds, by the gateway's own metric of its collections.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import numpy as np
import orjson
import uvloop
from prometheus_client.parser import text_string_to_metric_families
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from deploy.local.processes import Children, free_port
from deploy.local.stack import redis_server
from loadtests.crowd import load_demo
from loadtests.local_gateway import HOST, local_gateway
from loadtests.raw_client import Caller

_ROOT = Path(__file__).parents[1]
VARIANTS = {
    "python": "gc.enable()",
    "frozen": "gc.freeze(); gc.enable()",
    "frozen, 5,000": "gc.freeze(); gc.set_threshold(5_000); gc.enable()",
    "frozen, 20,000": "gc.freeze(); gc.set_threshold(20_000); gc.enable()",
    "frozen, 50,000": "gc.freeze(); gc.set_threshold(50_000); gc.enable()",
}
_SERVE = """
import gc, sys
from service.cli import main
from service.commands import serve
def spare():
    {spare}
serve.spare_the_collector = spare
sys.argv = ["interests", "serve"]
main()
"""


async def asked(port: int, users: Sequence[str], requests: int) -> list[float]:
    """Milliseconds of each request of one caller, after a tenth of them to warm up."""
    connection = await Caller.connect(HOST, port)
    times = []
    for number in range(requests + requests // 10):
        began = time.perf_counter()
        user = users[number % len(users)]
        reply = await connection.post("/v1/interests", orjson.dumps({"user_id": user}))
        assert reply.status == 200, reply.body
        times.append((time.perf_counter() - began) * 1000)
    connection.close()
    return times[requests // 10 :]


def pauses(url: str) -> dict[str, tuple[float, float]]:
    """Collections of each generation, and all their seconds, since the gateway began."""
    text = httpx.get(f"{url}/metrics").text
    found: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("interests_gc_pause_seconds"):
                kind = sample.name.rpartition("_")[2]
                if kind in ("count", "sum"):
                    both = found.setdefault(sample.labels["generation"], [0.0, 0.0])
                    both[kind == "sum"] = sample.value
    return {generation: (count, seconds) for generation, (count, seconds) in found.items()}


def measure(chosen: argparse.Namespace, folder: Path) -> Table:
    """Start everything, measure in turns, lay it out."""
    redis_port, children = free_port(), Children(folder / "log")
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in VARIANTS}
    try:
        children.start("redis", [redis_server(), "--port", str(redis_port), "--save", ""])
        users = load_demo(folder, redis_port)
        settings = {
            "REDIS_URL": f"redis://{HOST}:{redis_port}/0",
            "STUDENTS__MAIN__MANIFEST": str(chosen.student.resolve()),
        }
        for _ in range(chosen.rounds):
            for name, spare in VARIANTS.items():
                command = ("-c", _SERVE.format(spare=spare))
                with local_gateway(_ROOT, folder, settings, command=command) as gateway:
                    times = uvloop.run(asked(gateway.port, users, chosen.requests))
                    found, rss = pauses(gateway.url), gateway.rss_mb()
                young, full = found.get("0", (0, 0)), found.get("2", (0, 0))
                p50, p99, p999 = np.percentile(times, [50, 99, 99.9])
                mean = [1000 * s / n if n else 0.0 for n, s in (young, full)]
                all_ms = 1000 * sum(seconds for _, seconds in found.values())
                rows[name].append(
                    (p50, p99, p999, max(times), young[0], mean[0], full[0], mean[1], all_ms, rss)
                )
    finally:
        children.stop()
    heads = (
        "p50",
        "p99",
        "p99.9",
        "slowest",
        "young",
        "ms each",
        "full",
        "ms each",
        "all",
        "RSS MB",
    )
    table = Table("collector", *heads, box=SIMPLE_HEAD)
    for name, seen in rows.items():
        table.add_row(
            name, *(f"{statistics.median(column):.2f}" for column in zip(*seen, strict=True))
        )
    return table


def main() -> None:
    """Read the arguments, measure, print a table."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("--student", type=Path, required=True, help="a built student's student.yaml")
    cli.add_argument("--requests", type=int, default=5_000)
    cli.add_argument("--rounds", type=int, default=3)
    chosen = cli.parse_args()
    if chosen.requests < 100 or chosen.rounds < 1:
        cli.error("--requests takes at least 100 and --rounds at least 1")
    with tempfile.TemporaryDirectory() as scratch:
        table = measure(chosen, Path(scratch))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
