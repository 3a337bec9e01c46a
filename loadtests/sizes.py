"""How much memory users take in Redis, and a gateway that has answered for them.

    python -m loadtests.sizes --users 2000
    python -m loadtests.sizes --student .local/students/interests-small/9/student.yaml

Signals are the demo's, dealt anew to as many users as are wanted, so texts are as long as there.
They are stored by `interests signals load` in a Redis of its own, and then each user's list is kept
as a gateway keeps it. `used` is the growth of Redis' `used_memory` a user, so with everything that
a key costs; `sig:` and `int:` are `MEMORY USAGE` of a key, median of the users. Then ten exposures
and ten clicks a user are written, each of these with all keys that it needs. With `--student` a
gateway over the embedded index of the demo, without an engine and without an encoder, answers for
all of them, and its resident memory is shown before and after. Loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx
import redis
from prometheus_client import CollectorRegistry
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loadtests.bench_experiments import an_answer
from loadtests.local_gateway import environment_of, local_gateway
from loadtests.rig.own_redis import own_redis
from loadtests.rig.users import dealt, write
from models.demo.__main__ import write_demo
from service.events.feedback import Feedback, Taken
from service.identity import Identity, named
from service.records import KeptList, Query, Signal
from service.settings import load_settings
from service.signals.keys import user_keys
from service.telemetry import Metrics
from service.wiring import open_event_writer, open_events, open_redis, open_store

_ROOT = Path(__file__).parents[1]
_COUNTS = (20, 50, 200)
"""Signals of each user; 200 is the most that is kept unless settings say otherwise."""
_QUERIES = 3
"""Queries of a list: what `interests-small` writes on average, by its card."""


async def keep_lists(users: dict[str, list[Signal]], url: str) -> None:
    """A list for each user, as a gateway keeps it."""
    store = open_store(load_settings(redis_url=url))
    until = asyncio.get_running_loop().time() + 600
    for user, signals in users.items():
        picked = signals[:_QUERIES]
        queries = tuple(Query(one.text, signals=(one.id,)) for one in picked)
        key, fingerprint = "interests-small@9/0123456789ab/0123456789ab", "0" * 32
        await store.keep(user, KeptList(key, fingerprint, int(time.time() * 1000), queries), until)
    await store.close()


def used(client: redis.Redis) -> int:
    """Bytes that Redis has allocated."""
    return int(client.info("memory")["used_memory"])


def measured(client: redis.Redis, url: str, folder: Path, users: int, count: int) -> list[str]:
    """A row of the table: what users of so many signals take."""
    client.flushall()
    before, dealt_out = used(client), dealt(users, count)
    path = folder / "signals.jsonl"
    write(dealt_out, path)
    command = [sys.executable, "-m", "service", "signals", "load", str(path)]
    env = environment_of(_ROOT, {"REDIS_URL": url})
    subprocess.run(command, env=env, check=True, capture_output=True)
    streams = sum(_usage(client, list(client.scan_iter("changes:*"))))
    with_signals = used(client)
    asyncio.run(keep_lists(dealt_out, url))
    keys = [user_keys(user) for user in dealt_out]
    signals = statistics.median(_usage(client, [one.signals for one in keys]))
    lists = statistics.median(_usage(client, [one.lists for one in keys]))
    texts = [len(one.text.encode()) for held in dealt_out.values() for one in held]
    shares = (with_signals - before - streams, used(client) - with_signals, streams)
    of_all = (f"{share / users:,.0f}" for share in shares)
    return [
        f"{count}",
        f"{statistics.mean(texts):.0f}",
        f"{signals:,.0f}",
        f"{lists:,.0f}",
        *of_all,
    ]


def _usage(client: redis.Redis, keys: Sequence[str | bytes]) -> list[int]:
    return [int(client.memory_usage(key, samples=0) or 0) for key in keys]


async def write_exposures(url: str, identity: Identity, users: Sequence[str]) -> None:
    """One for each of these, of a hundred candidates without experiments, as a gateway writes."""
    client, answer = open_redis(load_settings(redis_url=url)), an_answer()
    settings = load_settings(redis_url=url, events_kept=len(users))
    writer = open_event_writer(settings, client, identity, Metrics(CollectorRegistry()))
    writer.start()
    for number, user in enumerate(users):
        writer.expose(replace(answer, request_id=identity.request_id(user), user_id=user))
        if number % 500 == 0:
            await asyncio.sleep(0.2)  # or more would wait than there is room for
    await writer.stop()
    await client.aclose()


async def write_clicks(url: str, identity: Identity, users: Sequence[str]) -> None:
    """A click for each of these, on an answer of its own."""
    client = open_redis(load_settings(redis_url=url))
    events = open_events(load_settings(redis_url=url, events_kept=2 * len(users)), client)
    at_ms = int(time.time() * 1000)
    for number, user in enumerate(users):
        request_id = identity.request_id(user)
        click = Feedback(f"page-{number}", request_id, user, "click", "article-0000001", at_ms)
        until = asyncio.get_running_loop().time() + 10
        await events.take([Taken(click, named(request_id))], until)
    await client.aclose()


def events_used(client: redis.Redis, url: str, users: int) -> str:
    """A line: what an exposure and a feedback event take, ten of each for every user."""
    client.flushall()
    identity = Identity()
    names = [f"user-{number % users:07}" for number in range(10 * users)]
    start = used(client)
    asyncio.run(write_exposures(url, identity, names))
    exposed = used(client)
    asyncio.run(write_clicks(url, identity, names))
    each = [(exposed - start) / len(names), (used(client) - exposed) / len(names)]
    return f"bytes in Redis: an exposure {each[0]:,.0f}, a feedback event {each[1]:,.0f}"


def gateway_memory(student: Path, url: str, users: Sequence[str]) -> tuple[float, float]:
    """MB that a gateway holds before and after it has answered for these users."""
    with tempfile.TemporaryDirectory(prefix="interests-") as name:
        folder = Path(name)
        articles, _ = write_demo(folder)
        settings = {"REDIS_URL": url, "STUDENTS__MAIN__MANIFEST": str(student.resolve())}
        command = [sys.executable, "-m", "service", "index", "load", str(articles)]
        env = environment_of(_ROOT, {"DATA_DIR": str(folder)})
        subprocess.run(command, env=env, check=True, capture_output=True)
        with local_gateway(_ROOT, folder, settings) as gateway:
            before = gateway.rss_mb()
            with httpx.Client(base_url=gateway.url, timeout=60) as client:
                for user in users:
                    client.post("/v1/interests", json={"user_id": user}).raise_for_status()
            return before, gateway.rss_mb()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--student", type=Path, help="student.yaml of a built student")
    given = parser.parse_args()
    console, table = Console(), Table(box=SIMPLE_HEAD, title="bytes a user in Redis")
    for column in ("signals", "text", "sig:", "int:", "used, signals", "used, list", "changes"):
        table.add_column(column, justify="right")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="interests-")))
        client = stack.enter_context(own_redis(folder))
        port = client.connection_pool.connection_kwargs["port"]
        url = f"redis://127.0.0.1:{port}/0"
        for count in _COUNTS:
            table.add_row(*measured(client, url, folder, given.users, count))
        console.print(table)
        console.print(f"Redis {client.info('server')['redis_version']}, {given.users:,} users")
        console.print(events_used(client, url, given.users))
        if given.student:
            names = list(dealt(given.users, 1))
            before, after = gateway_memory(given.student, url, names)
            console.print(f"gateway: {before:.0f} MB, after {len(names):,} users {after:.0f} MB")


if __name__ == "__main__":
    main()
