"""Axes of what is stored: users in Redis, articles in the embedded index."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import redis
from rich.console import Console

from loadtests.growth.axes import Grown
from loadtests.growth.run import Run
from loadtests.rig.articles import article_rows
from loadtests.rig.cores import cpu_s
from loadtests.rig.parts import parts
from loadtests.rig.users import dealt
from loadtests.sizes import STUDENT, used
from models.demo.users import demo_users
from service.dates import parse_time
from service.errors import ConfigurationError
from service.records import Article, Filters, KeptList, Query, Signal
from service.retrieval.indexes.tantivy import TantivyIndex
from service.retrieval.indexes.tantivy_writer import TantivyWriter
from service.settings import load_settings
from service.signals.keys import user_keys
from service.signals.states import States
from service.signals.store import RedisSignalStore
from service.wiring import open_redis

_SIGNALS = 20
_QUERIES = 3
_PATTERNS = 64
"""Users that are written by the store; the others are copies of theirs, made by Redis."""
_BATCH = 2_000
_READS = 2_000
_USER_BYTES = 6_000
"""More than a user takes here, to see beforehand whether there is room."""
_TEXTS, _HITS, _WORDS = 20, 50, 5
_OPEN_S = 600.0


def users(run: Run) -> Grown:
    """Users in Redis with 20 signals and a kept list each: bytes, and the time of a read."""
    sizes = run.sizes((1_000, 10_000, 100_000), (200, 2_000))
    sizes += [1_000_000] if run.million_users else []
    require_memory(max(sizes) * _USER_BYTES)
    figures: dict[str, dict[float, list[float]]] = {
        name: {} for name in ("MB", "bytes a user", "p50 ms a read", "Redis CPU ms a read")
    }
    with parts(run.cores) as here:
        url = here.redis() + "0"
        client = redis.Redis.from_url(url)
        pid, empty = int(client.info("server")["process_id"]), used(client)
        patterns = dealt(range(_PATTERNS), _SIGNALS)
        asyncio.run(_write(url, patterns))
        # Copies tell no stream that they have come: the entries would be in no proportion.
        client.delete(*client.scan_iter("changes:*"))
        written = _PATTERNS
        for size in sizes:
            with Console(stderr=True).status(f"users: {size:,} …"):
                _copy(client, list(patterns), written, size)
                written, held = size, used(client) - empty
                reads = [asyncio.run(_reads(url, pid, size, seed)) for seed in range(run.rounds)]
            figures["MB"][size] = [held / 1e6]
            figures["bytes a user"][size] = [held / size]
            figures["p50 ms a read"][size] = [ms for ms, _ in reads]
            figures["Redis CPU ms a read"][size] = [cpu for _, cpu in reads]
        client.close()
    constant = (
        f"{_SIGNALS} signals a user with texts of the demo, a kept list of {_QUERIES} queries; "
        "reads are of users drawn at random, one after the other, as a gateway reads a user whom "
        "it has not seen lately. Sizes are measured one after the other, as users are added."
    )
    return Grown("users", "users", constant, figures)


def articles(run: Run) -> Grown:
    """Articles in the embedded index, by words: loading, and searches of a whole list of texts."""
    sizes = run.sizes((10_000, 100_000, 1_000_000), (1_000, 4_000))
    names = "CPU ms a text", "ms a search", "load s", "MB on disk"
    figures: dict[str, dict[float, list[float]]] = {name: {} for name in names}
    with parts(run.cores) as here:
        for size in sizes:
            folder = here.side_folder()
            with Console(stderr=True).status(f"articles: loading {size:,} …"):
                began = time.perf_counter()
                asyncio.run(_load(folder, size))
                figures["load s"][size] = [time.perf_counter() - began]
            disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            figures["MB on disk"][size] = [disk / 1e6]
            with Console(stderr=True).status(f"articles: searching {size:,} …"):
                found = asyncio.run(_searches(folder, run))
            figures["ms a search"][size] = [ms for ms, _ in found]
            figures["CPU ms a text"][size] = [cpu / _TEXTS for _, cpu in found]
    constant = (
        f"Searches of {_TEXTS} texts of at most {_WORDS} words, {_HITS} hits each, no vectors, "
        "in one process; articles have titles and abstracts in the demo's words. Loading counts "
        "the making of the articles, too. Sizes are measured one after the other."
    )
    return Grown("articles", "articles", constant, figures)


async def _write(url: str, patterns: dict[str, list[Signal]]) -> None:
    """The patterns' signals and a list of each, as a gateway writes them."""
    client = open_redis(load_settings(redis_url=url))
    store = RedisSignalStore(client)
    until = asyncio.get_running_loop().time() + 60
    await store.append_many(patterns, until)
    for user, held in patterns.items():
        picked = tuple(Query(one.text, signals=(one.id,)) for one in held[:_QUERIES])
        made_at_ms = int(time.time() * 1000)
        await store.keep(user, KeptList(STUDENT.list_key, "0" * 32, made_at_ms, picked), until)
    await client.aclose()


def _copy(client: redis.Redis, patterns: Sequence[str], start: int, end: int) -> None:
    """Add the users with these numbers, each with the values of a pattern."""
    kept = [user_keys(user) for user in patterns]
    for first in range(start, end, _BATCH):
        batch = client.pipeline(transaction=False)
        for number in range(first, min(first + _BATCH, end)):
            pattern, keys = kept[number % len(kept)], user_keys(_name(number))
            batch.copy(pattern.signals, keys.signals)
            batch.copy(pattern.lists, keys.lists)
        batch.execute()


async def _reads(url: str, pid: int, count: int, seed: int) -> tuple[float, float]:
    """The median of the reads, ms, and the CPU of Redis for one, ms."""
    client = open_redis(load_settings(redis_url=url))
    store = RedisSignalStore(client, states=States(0))
    loop, rng = asyncio.get_running_loop(), random.Random(seed)
    times, before = [], 0.0
    for number in range(-20, min(_READS, 10 * count)):
        if number == 0:  # connected, and the script is known
            before = cpu_s(pid)
        user = _name(rng.randrange(count))
        began = time.perf_counter()
        state = await store.get(user, loop.time() + 10)
        times.append(1000 * (time.perf_counter() - began))
        if len(state.signals) != _SIGNALS or not state.kept:
            raise ConfigurationError(f"Redis holds {len(state.signals)} signals of {user}")
    used_ms = 1000 * (cpu_s(pid) - before)
    await client.aclose()
    return statistics.median(times[20:]), used_ms / (len(times) - 20)


def _name(number: int) -> str:
    """As `dealt` calls users."""
    return f"user-{number:07}"


def require_memory(wanted: int) -> None:
    """Raise `ConfigurationError` where the machine has not so many bytes to spare."""
    info = Path("/proc/meminfo").read_text()
    free = 1024 * int(info.partition("MemAvailable:")[2].split()[0])
    if free < wanted:
        raise ConfigurationError(
            f"so many users take up to {wanted / 1e9:.1f} GB in Redis, and {free / 1e9:.1f} GB are "
            "free: leave --million-users out, or --only it"
        )


async def _load(folder: Path, count: int) -> None:
    writer = TantivyWriter(folder)
    build = await writer.begin()
    batch: list[Article] = []
    for article in _made(count):
        batch.append(article)
        if len(batch) == _BATCH:
            await build.add(batch)
            batch = []
    if batch:
        await build.add(batch)
    await build.publish()
    await writer.close()


def _made(count: int) -> Iterator[Article]:
    for row in article_rows(count):
        yield Article(
            id=row["id"],
            title=row["title"],
            abstract=row["abstract"],
            category=row["category"],
            published_ms=parse_time(row["published"], "published"),
            popularity=row["popularity"],
        )


async def _searches(folder: Path, run: Run) -> list[tuple[float, float]]:
    """Median and CPU of a search, ms, for each round."""
    said = [one.text for user in demo_users() for one in user.signals]
    texts = [" ".join(text.split()[:_WORDS]) for text in dict.fromkeys(said) if text.split()]
    rng, loop = random.Random(1), asyncio.get_running_loop()
    index = TantivyIndex(folder)
    drawn = [rng.sample(texts, _TEXTS) for _ in range(5 if run.quick else 20)]
    found = []
    await index.search(drawn[0], _HITS, Filters(), loop.time() + _OPEN_S)  # opens and copies it
    for _ in range(run.rounds):
        times, before = [], time.process_time()
        for asked in drawn:
            began = time.perf_counter()
            await index.search(asked, _HITS, Filters(), loop.time() + _OPEN_S)
            times.append(1000 * (time.perf_counter() - began))
        cpu_ms = 1000 * (time.process_time() - before)
        found.append((statistics.median(times), cpu_ms / len(drawn)))
    await index.close()
    return found
