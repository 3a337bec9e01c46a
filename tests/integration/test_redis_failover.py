"""A Redis whose address is moved to another server while connections to the first stay open."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from service.errors import SignalsUnavailable
from service.records import KeptList, Query, Signal
from service.redis.client import connect
from service.signals.keys import user_keys
from service.signals.store import RedisSignalStore
from tests.parts.redis import RedisServer, soon
from tests.parts.wire import Wire

pytestmark = pytest.mark.redis

POOL = 4


def signal(n: int = 0) -> Signal:
    return Signal(int(time.time() * 1000) + n, "search", "a solar eclipse", f"e{n}")


@pytest.fixture
def other_server() -> Iterator[RedisServer]:
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture
async def wire(redis_server: RedisServer) -> AsyncIterator[Wire]:
    async with Wire(redis_server.port) as wire:
        yield wire


@pytest.fixture
async def store(wire: Wire, caplog: pytest.LogCaptureFixture) -> AsyncIterator[RedisSignalStore]:
    """All its connections are open, and lead to the first server."""
    caplog.set_level(logging.INFO, "service.signals")
    store = RedisSignalStore(connect(f"redis://127.0.0.1:{wire.port}", pool=POOL), calls=POOL)
    await asyncio.gather(*(store.append(f"u{n}", [signal()], soon()) for n in range(POOL)))
    assert wire.connections == POOL
    yield store
    await store.close()


def demote(server: RedisServer, primary: RedisServer) -> None:
    with server.client() as client:
        client.replicaof("127.0.0.1", primary.port)


async def test_every_call_goes_on_at_the_new_primary_and_the_log_says_it_once(
    redis_server: RedisServer,
    other_server: RedisServer,
    wire: Wire,
    store: RedisSignalStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    demote(redis_server, other_server)
    wire.target = other_server.port
    listed = KeptList("s", "f00d", signal().at_ms, (Query("eclipse"),))
    await asyncio.gather(
        *(store.append(f"new {n}", [signal()], soon()) for n in range(10)),
        *(store.delete(f"u{n}", soon()) for n in range(10)),
        *(store.keep(f"kept {n}", listed, soon()) for n in range(10)),
        *(store.get(f"u{n}", soon()) for n in range(10)),
        store.check(soon()),
    )
    with other_server.client() as client:
        names = [user_keys(f"new {n}").signals for n in range(10)]
        names += [user_keys(f"u{n}").tombstone for n in range(10)]
        names += [user_keys(f"kept {n}").lists for n in range(10)]
        assert client.exists(*names) == 30
    said = [line for line in caplog.messages if "another server" in line]
    assert len(said) == 1
    async with asyncio.timeout(10):
        while wire.alive > POOL:
            await asyncio.sleep(0.01)


async def test_no_connection_to_the_demoted_server_is_left(
    redis_server: RedisServer, other_server: RedisServer, wire: Wire, store: RedisSignalStore
) -> None:
    demote(redis_server, other_server)
    wire.target = other_server.port
    await store.delete("u1", soon())
    with redis_server.client() as client:
        async with asyncio.timeout(10):
            while len(client.client_list(_type="normal")) > 1:
                await asyncio.sleep(0.01)
    await asyncio.gather(*(store.append(f"u{n}", [signal(1)], soon()) for n in range(POOL)))


async def test_while_the_address_still_leads_to_the_replica_writes_say_so_and_reads_go_on(
    redis_server: RedisServer,
    other_server: RedisServer,
    wire: Wire,
    store: RedisSignalStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    demote(redis_server, other_server)
    before = time.monotonic()
    for _ in range(100):
        with pytest.raises(SignalsUnavailable, match="READONLY: it is a replica"):
            await store.append("u1", [signal(1)], soon())
        await store.get("u1", soon())
    with pytest.raises(SignalsUnavailable, match="READONLY"):
        await store.delete("u1", soon())
    with pytest.raises(SignalsUnavailable, match="READONLY"):
        await store.check(soon())
    took_s = time.monotonic() - before
    assert wire.connections <= POOL + 1 + took_s / 0.5, "not one for each write"
    assert len([line for line in caplog.messages if "READONLY" in line]) == 1
    wire.target = other_server.port
    async with asyncio.timeout(10):
        while True:
            try:
                await store.append("u1", [signal(1)], soon())
                break
            except SignalsUnavailable:
                await asyncio.sleep(0.05)
    await store.check(soon())


async def test_a_replica_that_answers_nothing_without_its_primary_is_left_too(
    redis_server: RedisServer, other_server: RedisServer, wire: Wire, store: RedisSignalStore
) -> None:
    with redis_server.client() as client:
        client.config_set("replica-serve-stale-data", "no")
        client.replicaof("127.0.0.1", 1)
    with pytest.raises(SignalsUnavailable, match="MASTERDOWN"):
        await store.get("u1", soon())
    await asyncio.sleep(0.6)
    wire.target = other_server.port
    await store.get("u1", soon())
    await store.delete("u1", soon())
