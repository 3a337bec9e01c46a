"""The signal store on a real Redis Cluster of three primaries."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.crc import key_slot

from service.errors import SignalsUnavailable
from service.records import KeptList, Query, Signal
from service.redis.client import connect
from service.redis.cluster import Cluster
from service.signals.keys import user_keys
from service.signals.store import RedisSignalStore
from tests.parts.redis import RedisClusterParts, RedisServer, soon

pytestmark = pytest.mark.redis

AT = int(time.time() * 1000)


def signal(n: int = 0) -> Signal:
    return Signal(AT + n, "search", "a solar eclipse", f"e{n}")


def node_of(cluster: RedisClusterParts, user: str) -> RedisServer:
    """The node that holds a user's keys, when the slots are shared out in order."""
    size = 16_384 // len(cluster.nodes) + 1
    return cluster.nodes[key_slot(user_keys(user).signals.encode()) // size]


def users_by_node(cluster: RedisClusterParts) -> dict[int, str]:
    return {node_of(cluster, f"user {n}").port: f"user {n}" for n in range(50)}


async def until_failed(witness: RedisServer, dead: RedisServer) -> None:
    """Wait until the cluster, by one node's account, has given up another."""
    with witness.client() as client:
        async with asyncio.timeout(20):
            while True:
                node = client.execute_command("CLUSTER NODES")[f"127.0.0.1:{dead.port}"]
                if "fail" in node["flags"].split(","):
                    return
                await asyncio.sleep(0.05)


@pytest.fixture
async def store(redis_cluster: RedisClusterParts) -> AsyncIterator[RedisSignalStore]:
    store = RedisSignalStore(connect(redis_cluster.url, pool=4), calls=4)
    yield store
    await store.close()


@pytest.mark.parametrize("user", ["plain", "{a}{b}", "}{", "50%", "👩‍🚀 in space", "ü" * 128])
async def test_every_operation_works_for_any_user_id(store: RedisSignalStore, user: str) -> None:
    kept = KeptList("s@1/t/d", "f00d", AT, (Query("eclipse", 1.0),))
    assert (await store.append(user, [signal(1), signal(0)], soon())).stored == 2
    assert (await store.append(user, [signal(1)], soon())).stored == 0
    await store.keep(user, kept, soon())
    state = await store.get(user, soon())
    assert (state.signals, state.kept, state.corrupt) == ((signal(0), signal(1)), (kept,), 0)
    assert await store.delete(user, soon())
    state = await store.get(user, soon())
    assert (state.signals, state.kept) == ((), ())


async def test_users_of_all_nodes_are_loaded_at_once_and_found_again(
    redis_cluster: RedisClusterParts, store: RedisSignalStore
) -> None:
    batch = {f"loaded {n}": [signal(n)] for n in range(100)}
    assert (await store.append_many(batch, soon())).stored == 100
    states = await asyncio.gather(*(store.get(user, soon()) for user in batch))
    assert [state.signals for state in states] == [tuple(signals) for signals in batch.values()]
    assert all(node.client().dbsize() > 10 for node in redis_cluster.nodes)


async def test_a_first_call_too_hasty_to_learn_the_layout_does_not_keep_it_from_the_next(
    redis_cluster: RedisClusterParts,
) -> None:
    client = connect(redis_cluster.url)
    assert isinstance(client, Cluster)
    store = RedisSignalStore(client)
    with pytest.raises(SignalsUnavailable):
        await store.get("u", soon(0.0001))
    async with asyncio.timeout(5):
        while len(client.redis.get_primaries()) < 3:
            await asyncio.sleep(0.01)
    await store.get("u", soon())
    await store.close()


async def test_a_dead_node_takes_its_own_users_down_only_until_it_is_back(
    redis_cluster: RedisClusterParts, store: RedisSignalStore
) -> None:
    users = users_by_node(redis_cluster)
    for user in users.values():
        await store.append(user, [signal()], soon())
    dead = redis_cluster.nodes[1]
    dead.kill()
    try:
        await until_failed(redis_cluster.nodes[0], dead)
        for _ in range(3):
            for port, user in users.items():
                if port == dead.port:
                    with pytest.raises(SignalsUnavailable):
                        await store.get(user, soon())
                else:
                    assert (await store.get(user, soon())).signals == (signal(),)
        with pytest.raises(SignalsUnavailable):
            await store.check(soon())
    finally:
        dead.start()
    async with asyncio.timeout(20):
        while True:
            try:
                await store.get(users[dead.port], soon())
                break
            except SignalsUnavailable:
                await asyncio.sleep(0.1)


async def test_a_frozen_node_costs_its_users_their_deadline_and_others_nothing(
    redis_cluster: RedisClusterParts, store: RedisSignalStore
) -> None:
    users = users_by_node(redis_cluster)
    for user in users.values():
        await store.get(user, soon())
    frozen = redis_cluster.nodes[2]
    frozen.freeze()
    try:
        loop = asyncio.get_running_loop()
        until = loop.time() + 0.2
        with pytest.raises(SignalsUnavailable, match="in time"):
            await store.get(users[frozen.port], until)
        assert 0 <= loop.time() - until < 2
        others = [user for port, user in users.items() if port != frozen.port]
        await asyncio.gather(*(store.get(user, soon(1)) for user in others))
    finally:
        frozen.thaw()


async def test_a_single_server_under_a_cluster_url_is_told_apart(redis_url: str) -> None:
    store = RedisSignalStore(
        connect(redis_url.replace("redis://", "redis-cluster://").removesuffix("/0"))
    )
    with pytest.raises(SignalsUnavailable, match=r"(?i)cluster"):
        await store.check(soon())
    await store.close()


async def test_the_documented_permissions_are_enough_for_a_cluster(
    redis_cluster: RedisClusterParts,
) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "signals.md").read_text()
    line = re.search(r"user (gateway on >word .*)", docs)
    assert line is not None
    rules = [*line[1].split(), "+cluster|slots", "+command"]
    for node in redis_cluster.nodes:
        node.client().execute_command("ACL", "SETUSER", *rules)
    url = redis_cluster.url.replace("://", "://gateway:word@")
    store = RedisSignalStore(connect(url))
    await store.check(soon())
    await store.append("permitted", [signal()], soon())
    assert (await store.get("permitted", soon())).signals == (signal(),)
    await store.close()
