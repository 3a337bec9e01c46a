"""How much memory users take in Redis, and a gateway that has answered for them.

    python -m loadtests.sizes --users 2000
    python -m loadtests.sizes --student .local/students/interests-small/9/student.yaml

Signals are the demo's, dealt anew to as many users as are wanted, so texts are as long as there.
They are stored by `interests signals load` in a Redis of its own, and then each user's list is kept
as a gateway keeps it. `used` is the growth of Redis' `used_memory` a user, so with everything that
a key costs; `sig:` and `int:` are `MEMORY USAGE` of a key, median of the users. With `--student` a
gateway over the embedded index of the demo, without an engine and without an encoder, answers for
all of them, and its resident memory is shown before and after. Loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import orjson
import redis
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from deploy.local.processes import Children, free_port
from deploy.local.stack import redis_server
from loadtests.local_gateway import environment_of, local_gateway
from models.demo.__main__ import write_demo
from models.demo.users import demo_users
from service.records import KeptList, Query, Signal
from service.settings import load_settings
from service.signals.keys import user_keys
from service.wiring import open_store

_ROOT = Path(__file__).parents[1]
_COUNTS = (20, 50, 200)
"""Signals of each user; 200 is the most that is kept unless settings say otherwise."""
_QUERIES = 3
"""Queries of a list: what `interests-small` writes on average, by its card."""
_HOUR_MS = 3_600_000


def dealt(users: int, signals: int) -> dict[str, list[Signal]]:
    """So many signals for each of so many users, an hour apart, in the demo's order."""
    pool = itertools.cycle(signal for user in demo_users() for signal in user.signals)
    now = int(time.time() * 1000)
    return {
        f"user-{number:07}": [
            Signal(now - step * _HOUR_MS, one.domain, one.text, f"{number:07}-{step:04}", one.item)
            for step, one in enumerate(itertools.islice(pool, signals))
        ]
        for number in range(users)
    }


def write(users: dict[str, list[Signal]], path: Path) -> None:
    """The file that `interests signals load` reads."""
    with path.open("wb") as file:
        for user, signals in users.items():
            for one in signals:
                row = {"user_id": user, "at": one.at_ms, "domain": one.domain, "text": one.text}
                row |= {"id": one.id} | ({"item": one.item} if one.item else {})
                file.write(orjson.dumps(row) + b"\n")


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


@contextmanager
def own_redis(folder: Path) -> Iterator[redis.Redis]:
    """A Redis of this run's own, empty."""
    children, port = Children(folder / "logs"), free_port()
    given = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
    children.start("redis", [redis_server(), *given])
    client = redis.Redis(port=port)
    try:
        until = time.monotonic() + 20
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
        yield client
    finally:
        client.close()
        children.stop()


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
        if given.student:
            names = list(dealt(given.users, 1))
            before, after = gateway_memory(given.student, url, names)
            console.print(f"gateway: {before:.0f} MB, after {len(names):,} users {after:.0f} MB")


if __name__ == "__main__":
    main()
