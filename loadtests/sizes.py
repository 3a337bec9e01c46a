"""How much memory users take in Redis; `loadtests.sizes_gateway` has the gateway's.

    python -m loadtests.sizes --users 2000
    python -m loadtests.sizes --users 100000 --signals 50 --packed

Signals are the demo's, dealt anew to as many users as are wanted, so texts, items and categories
are as long as there; ids are those that the gateway makes for events that come without. They are
stored in a Redis of its own as a gateway stores them, and then each user's list is kept. `used` is
the growth of Redis' `used_memory` a user, so with everything that a key costs; `sig:` and `int:`
are `MEMORY USAGE` of a key, median of some users. All is measured with Redis' own limits, and with
those that have it keep users packed (docs/operating/data.md); with `--packed` with the latter
alone. Then ten exposures and ten clicks a user are written, each of these with all keys that it
needs; not with `--packed`. Loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import redis
from prometheus_client import CollectorRegistry
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from deploy.local.stack import PACKED
from loadtests.bench_experiments import an_answer
from loadtests.rig.own_redis import own_redis as started
from loadtests.rig.users import dealt
from service.events.feedback import Feedback, Taken
from service.identity import Identity, named
from service.records import Decoding, KeptList, Query, Signal, StudentSpec
from service.settings import load_settings
from service.signals.keys import user_keys
from service.telemetry import Metrics
from service.wiring import open_event_writer, open_events, open_redis, open_store

_COUNTS = (20, 50, 200)
"""Signals of each user; 200 is the most that is kept unless settings say otherwise."""
_QUERIES = 3
"""Queries of a list: what `interests-small` writes on average, by its card."""
_AT_ONCE = 2_000
"""Users that are written in one go."""
_COLUMNS = (
    *("signals", "text", "sig:", "int:", "both"),
    *("used", "of it signals", "list", "changes besides"),
)
STUDENT = StudentSpec(
    "interests-small", "9", "interests-small", "template-0123abcd", 1_000, Decoding(), 1_000
)
"""Whose lists are kept; nobody runs it."""


async def store_signals(users: dict[str, list[Signal]], url: str) -> None:
    """Their signals, as a gateway stores them."""
    store = open_store(load_settings(redis_url=url))
    await store.append_many(users, asyncio.get_running_loop().time() + 600)
    await store.close()


async def keep_lists(users: dict[str, list[Signal]], url: str) -> None:
    """A list for each user, as a gateway keeps it."""
    store = open_store(load_settings(redis_url=url))
    until = asyncio.get_running_loop().time() + 600
    for user, signals in users.items():
        queries = tuple(Query(one.text, signals=(one.id,)) for one in signals[:_QUERIES])
        made_at_ms = int(time.time() * 1000)
        kept = KeptList(STUDENT.list_key, "0" * 32, made_at_ms, queries)
        await store.keep(user, kept, until)
    await store.close()


@contextmanager
def own_redis(options: Sequence[str] = PACKED) -> Iterator[tuple[redis.Redis, str]]:
    """A Redis of this run's own, empty, and its URL."""
    with (
        tempfile.TemporaryDirectory(prefix="interests-") as folder,
        started(Path(folder), options) as client,
    ):
        port = client.connection_pool.connection_kwargs["port"]
        yield client, f"redis://127.0.0.1:{port}/0"


def used(client: redis.Redis) -> int:
    """Bytes that Redis has allocated."""
    return int(client.info("memory")["used_memory"])


def measured(client: redis.Redis, url: str, users: int, count: int) -> list[str]:
    """A row of the table: what users of so many signals take."""
    client.flushall()
    before, with_signals, texts, usage = used(client), 0, [], []
    groups = [range(first, min(first + _AT_ONCE, users)) for first in range(0, users, _AT_ONCE)]
    for group in groups:
        asyncio.run(store_signals(dealt(group, count), url))
    streams = sum(_usage(client, list(client.scan_iter("changes:*"))))
    with_signals = used(client)
    for group in groups:
        asyncio.run(keep_lists(dealt(group, count), url))
    some = dealt(groups[0], count)
    for name in some:
        keys = user_keys(name)
        usage.append(_usage(client, [keys.signals, keys.lists]))
    texts = [len(one.text.encode()) for held in some.values() for one in held]
    signals, lists = (statistics.median(column) for column in zip(*usage, strict=True))
    shares = [with_signals - before - streams, used(client) - with_signals]
    columns = (statistics.mean(texts), signals, lists, signals + lists)
    of_all = (sum(shares) / users, *(share / users for share in (*shares, streams)))
    return [f"{count}", *(f"{number:,.0f}" for number in (*columns, *of_all))]


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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--signals", type=int, help="of each user; else 20, 50 and 200 in turn")
    parser.add_argument("--packed", action="store_true", help="with Redis' limits set for it alone")
    given = parser.parse_args()
    counts = (given.signals,) if given.signals else _COUNTS
    console = Console(width=130)
    for options in (PACKED,) if given.packed else ((), PACKED):
        table = Table(box=SIMPLE_HEAD, title="bytes a user in Redis", title_justify="left")
        for column in _COLUMNS:
            table.add_column(column, justify="right")
        with own_redis(options) as (client, url):
            for count in counts:
                table.add_row(*measured(client, url, given.users, count))
            console.print(table)
            said = "packed: " + " ".join(options) if options else "its own limits"
            version = client.info("server")["redis_version"]
            console.print(f"Redis {version}, {said}; {given.users:,} users")
    if not given.packed:
        with own_redis(PACKED) as (client, url):
            console.print(events_used(client, url, given.users))


if __name__ == "__main__":
    main()
