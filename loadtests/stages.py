"""Latency of each stage, from the answers of a running gateway: `python -m loadtests.stages`."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections import Counter
from typing import Any

import httpx
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

STAGES = ("signals", "generate", "retrieve", "fuse", "total")


async def ask_all(
    url: str, users: list[str], requests: int, concurrency: int, timeout_ms: int | None
) -> list[tuple[float, dict[str, Any]]]:
    """Send `requests` calls, `concurrency` at once: (client's milliseconds, answer) of each."""
    gate = asyncio.Semaphore(concurrency)
    found: list[tuple[float, dict[str, Any]]] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("requests", total=requests)
        async with httpx.AsyncClient(base_url=url, timeout=35) as client:

            async def ask(number: int) -> None:
                body: dict[str, Any] = {"user_id": users[number % len(users)]}
                if timeout_ms is not None:
                    body["timeout_ms"] = timeout_ms
                async with gate:
                    started = time.perf_counter()
                    response = await client.post("/v1/interests", json=body)
                    took = (time.perf_counter() - started) * 1000
                response.raise_for_status()
                found.append((took, response.json()))
                progress.advance(task)

            await asyncio.gather(*(ask(number) for number in range(requests)))
    return found


def report(found: list[tuple[float, dict[str, Any]]]) -> Table:
    """A table of p50, p95 and the slowest, in milliseconds, for every stage."""
    rungs = Counter(answer["source"]["queries"] for _, answer in found)
    said = ", ".join(f"{count} {rung}" for rung, count in rungs.most_common())
    table = Table(title=f"{len(found)} answers ({said}), ms", title_justify="left")
    for column in ("stage", "p50", "p95", "slowest"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for stage in STAGES:
        _row(table, stage, [answer["timings_ms"][stage] for _, answer in found])
    _row(table, "as the client sees it", [took for took, _ in found])
    return table


def _row(table: Table, name: str, values: list[float]) -> None:
    cuts = statistics.quantiles(values, n=20) if len(values) > 1 else values * 19
    row = (statistics.median(values), cuts[18], max(values))
    table.add_row(name, *(f"{value:.1f}" for value in row))


def main() -> None:
    """Read the arguments, ask, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--users", required=True, help="user ids, separated by commas")
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--timeout-ms", type=int)
    args = parser.parse_args()
    if not 1 <= args.requests <= 10_000 or not 1 <= args.concurrency <= 256:
        parser.error("--requests takes 1 to 10,000 and --concurrency 1 to 256")
    users = args.users.split(",")
    found = asyncio.run(ask_all(args.url, users, args.requests, args.concurrency, args.timeout_ms))
    Console().print(report(found))


if __name__ == "__main__":
    main()
