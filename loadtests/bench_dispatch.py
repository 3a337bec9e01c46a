"""Users a second through the dispatcher against the same prompts sent to the engine directly.

Both sides run the engine simulator in a process of its own, the same prompts, the same number of
calls at once, in alternating rounds; the medians are compared. Direct means bare aiohttp, streamed
and read to the end, nothing parsed. Also shown: the time a call takes beyond the direct one at a
concurrency the engine is not full at.

    python -m loadtests.bench_dispatch --users 600 --at-once 32
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import uvloop
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from service.generation.engines.calls import Call
from service.generation.engines.completions import request_body
from service.generation.engines.dispatch import Dispatcher
from service.generation.engines.vllm import VllmEngine
from service.records import Decoding
from service.telemetry import Metrics

Ask = Callable[[Call], Awaitable[None]]
_PROMPT_TOKENS = 120


@dataclass(frozen=True, slots=True)
class Round:
    """One round's figures: users a second, median latency in ms, our CPU a user in µs."""

    users_s: float
    p50_ms: float
    cpu_us: float


def prompts(first: int, count: int, tokens: int, n: int) -> list[Call]:
    """Distinct prompts, so that nothing is shared."""
    decoding = Decoding(temperature=0.7, max_tokens=tokens, n=n)
    return [
        Call((*range(100, 100 + _PROMPT_TOKENS), number), "sim", decoding, f"user {number}")
        for number in range(first, first + count)
    ]


async def run_round(ask: Ask, calls: list[Call], at_once: int) -> Round:
    """Keep `at_once` calls in flight until all are done."""
    waiting = iter(calls)
    took: list[float] = []

    async def worker() -> None:
        for call in waiting:
            started = time.perf_counter()
            await ask(call)
            took.append(time.perf_counter() - started)

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return Round(len(calls) / seconds, statistics.median(took) * 1000, cpu / len(calls) * 1e6)


@asynccontextmanager
async def direct(url: str) -> AsyncIterator[Ask]:
    """Bare aiohttp."""
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(call: Call) -> None:
            body = request_body(call)
            async with session.post(f"{url}/v1/completions", data=body, headers=headers) as reply:
                async for _ in reply.content.iter_any():
                    pass

        yield ask


@asynccontextmanager
async def dispatched(url: str, at_once: int) -> AsyncIterator[Ask]:
    """The dispatcher, its window as wide as the load."""
    dispatcher = Dispatcher(
        [VllmEngine(url)], ("sim",), Metrics(CollectorRegistry()), window=at_once
    )
    await dispatcher.start()
    try:
        while dispatcher.status()[0].state != "up":
            await asyncio.sleep(0.05)
        loop = asyncio.get_running_loop()

        async def ask(call: Call) -> None:
            made = await dispatcher.complete(call, loop.time() + 60)
            if not made.finished:
                raise RuntimeError("a call was cut off: the figures would be wrong")

        yield ask
    finally:
        await dispatcher.close()


async def compare(url: str, flags: argparse.Namespace, at_once: int, users: int) -> list[float]:
    """Alternate the two sides; print their medians. Returns users/s and p50 of both."""
    sides: dict[str, list[Round]] = {"direct": [], "dispatcher": []}
    async with direct(url) as bare, dispatched(url, at_once) as ours:
        asks = {"direct": bare, "dispatcher": ours}
        for ask in asks.values():
            await run_round(ask, prompts(10**6, at_once, flags.tokens, flags.n), at_once)
        for number in range(flags.rounds):
            order = list(asks) if number % 2 == 0 else list(reversed(asks))
            for name in order:
                calls = prompts(number * users, users, flags.tokens, flags.n)
                sides[name].append(await run_round(asks[name], calls, at_once))
    title = f"{at_once} at once, {users} users, {flags.rounds} rounds, medians"
    table = Table("side", "users/s", "p50 ms", "CPU µs a user", title=title)
    figures: list[float] = []
    for name, rounds in sides.items():
        users_s = statistics.median(done.users_s for done in rounds)
        p50 = statistics.median(done.p50_ms for done in rounds)
        cpu = statistics.median(done.cpu_us for done in rounds)
        table.add_row(name, f"{users_s:.1f}", f"{p50:.2f}", f"{cpu:.0f}")
        figures += [users_s, p50]
    Console().print(table)
    return figures


async def run(flags: argparse.Namespace) -> None:
    """Start the simulator, compare at full and at light load, print the verdict."""
    command = [sys.executable, "-m", "loadtests.engine_simulator", "--step-ms", str(flags.step_ms)]
    engine = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    try:
        assert engine.stdout is not None
        url = engine.stdout.readline().strip()
        bare_s, _, ours_s, _ = await compare(url, flags, flags.at_once, flags.users)
        _, bare_ms, _, ours_ms = await compare(url, flags, 2, max(20, flags.users // 20))
    finally:
        engine.kill()
        engine.wait()
    Console().print(f"users/s: {ours_s / bare_s:.3f} of direct (bar: at least 0.95)")
    Console().print(f"added latency, p50, two at once: {ours_ms - bare_ms:+.2f} ms (bar: 2 ms)")


def main() -> None:
    """Read the flags and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=600, help="in a round")
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--n", type=int, default=1)
    parser.add_argument("--step-ms", type=float, default=15.0)
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
