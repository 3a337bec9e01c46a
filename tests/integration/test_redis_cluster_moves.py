"""A real Redis Cluster whose slots are on their way from one node to another, or nobody's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from redis.crc import key_slot

from service.errors import SignalsUnavailable
from service.records import KeptList, Query, Signal
from service.redis.client import connect
from service.signals.keys import UserKeys, user_keys
from service.signals.store import RedisSignalStore
from tests.parts.redis import SLOTS, RedisClusterParts, RedisServer, soon
from tests.parts.wire import Wire

pytestmark = pytest.mark.redis

AT = int(time.time() * 1000)
SIGNAL = Signal(AT, "search", "a solar eclipse", "e1")
LATER = Signal(AT + 1, "search", "a lunar eclipse", "e2")
KEPT = KeptList("s@1/t/d", "f00d", AT, (Query("eclipse", 1.0),))


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisClusterParts]:
    """A cluster of this module's own: three primaries, and last a fourth node without slots."""
    cluster = RedisClusterParts([RedisServer(cluster=True) for _ in range(3)]).start()
    newcomer = RedisServer(cluster=True).start()
    with newcomer.client() as client:
        client.execute_command("CLUSTER", "MEET", "127.0.0.1", cluster.nodes[0].port)
        until = time.monotonic() + 20
        while not all(takes_part(node) for node in [*cluster.nodes, newcomer]):
            assert time.monotonic() < until, "the fourth node did not join"
            time.sleep(0.05)
    cluster.nodes.append(newcomer)
    yield cluster
    cluster.close()


def takes_part(node: RedisServer) -> bool:
    with node.client() as client:
        known = client.execute_command("CLUSTER NODES")
        joined = [one for one in known.values() if "handshake" not in one["flags"]]
        return len(joined) == 4 and client.execute_command("CLUSTER INFO")["cluster_state"] == "ok"


@pytest.fixture
async def store(cluster: RedisClusterParts) -> AsyncIterator[RedisSignalStore]:
    store = RedisSignalStore(connect(cluster.url, pool=8), calls=8)
    yield store
    await store.close()


class Move:
    """A user's slot on its way from the node that holds it to another."""

    def __init__(self, cluster: RedisClusterParts, target: RedisServer) -> None:
        """A user who is on the first node, and not yet stored."""
        size = SLOTS // 3 + 1
        names = (f"user {uuid4().hex}" for _ in range(1_000))
        self.user = next(name for name in names if slot_of(user_keys(name)) < size)
        self.keys = user_keys(self.user)
        self._slot = slot_of(self.keys)
        self._nodes = cluster.nodes
        self._source, self._target = cluster.nodes[0], target

    def begin(self, *moved: str) -> None:
        """Open the slot, and move some of the user's keys."""
        with self._source.client() as source, self._target.client() as target:
            ids = [one.execute_command("CLUSTER", "MYID").decode() for one in (source, target)]
            target.execute_command("CLUSTER", "SETSLOT", self._slot, "IMPORTING", ids[0])
            source.execute_command("CLUSTER", "SETSLOT", self._slot, "MIGRATING", ids[1])
        self.carry(*moved)

    def carry(self, *moved: str) -> None:
        """Move keys of the user's."""
        with self._source.client() as source:
            for name in moved:
                source.migrate("127.0.0.1", self._target.port, getattr(self.keys, name), 0, 5_000)

    def end(self) -> None:
        """Carry the rest over, and give the slot to the target."""
        self.carry("signals", "lists", "tombstone")
        with self._target.client() as target:
            owner = target.execute_command("CLUSTER", "MYID").decode()
        for node in (self._target, self._source, *self._nodes):
            with node.client() as client:
                client.execute_command("CLUSTER", "SETSLOT", self._slot, "NODE", owner)


def slot_of(keys: UserKeys) -> int:
    return key_slot(keys.signals.encode())


@pytest.fixture(params=["one with slots", "one that has just joined"])
def move(cluster: RedisClusterParts, request: pytest.FixtureRequest) -> Iterator[Move]:
    """A move to a node that the client knows, and to one that is in nobody's map of slots."""
    move = Move(cluster, cluster.nodes[1 if request.param == "one with slots" else 3])
    yield move
    with contextlib.suppress(Exception):
        move.end()


@pytest.mark.parametrize("moved", [(), ("signals",), ("lists",), ("signals", "lists")])
async def test_a_user_is_read_wherever_the_keys_are(
    store: RedisSignalStore, move: Move, moved: tuple[str, ...]
) -> None:
    await store.append(move.user, [SIGNAL], soon())
    await store.keep(move.user, KEPT, soon())
    move.begin(*moved)
    for _ in range(3):
        states = await asyncio.gather(*(store.get(move.user, soon()) for _ in range(8)))
        assert {(state.signals, state.kept) for state in states} == {((SIGNAL,), (KEPT,))}
        assert all(abs(state.read_at_ms - time.time() * 1000) < 60_000 for state in states)
    await store.check(soon())


async def test_a_user_of_whom_nothing_is_stored_is_read_too(
    store: RedisSignalStore, move: Move
) -> None:
    move.begin()
    state = await store.get(move.user, soon())
    assert (state.signals, state.kept, state.corrupt) == ((), (), 0)


async def test_what_was_deleted_before_the_move_is_not_shown_during_it(
    cluster: RedisClusterParts, store: RedisSignalStore, move: Move
) -> None:
    await store.delete(move.user, soon())
    with cluster.nodes[0].client() as foreign:
        foreign.zadd(move.keys.signals, {'e1 {"d":"search","t":"eclipse"}': AT - 60_000})
    move.begin("signals")
    assert (await store.get(move.user, soon())).signals == ()


async def test_a_key_of_a_wrong_type_is_counted_during_a_move(
    cluster: RedisClusterParts, store: RedisSignalStore, move: Move
) -> None:
    await store.append(move.user, [SIGNAL], soon())
    with cluster.nodes[0].client() as foreign:
        foreign.set(move.keys.lists, "no hash")
    move.begin("lists")
    state = await store.get(move.user, soon())
    assert (state.signals, state.kept, state.corrupt) == ((SIGNAL,), (), 1)


async def test_writes_wait_for_the_end_of_the_move_and_are_done_then(
    store: RedisSignalStore, move: Move
) -> None:
    await store.append(move.user, [SIGNAL], soon())
    move.begin("signals")
    writes = [
        asyncio.create_task(store.append(move.user, [LATER], soon(20))),
        asyncio.create_task(store.keep(move.user, KEPT, soon(20))),
    ]
    await asyncio.sleep(0.5)
    assert not any(write.done() for write in writes)
    await asyncio.to_thread(move.end)
    await asyncio.gather(*writes)
    state = await store.get(move.user, soon())
    assert (state.signals, state.kept) == ((SIGNAL, LATER), (KEPT,))
    assert await store.delete(move.user, soon())


async def test_a_write_that_the_move_outlasts_says_why_and_reads_go_on(
    store: RedisSignalStore, move: Move, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "service.signals")
    await store.append(move.user, [SIGNAL], soon())
    move.begin("signals")
    loop = asyncio.get_running_loop()
    until = loop.time() + 0.3
    with pytest.raises(SignalsUnavailable, match="on its way to another node"):
        await store.append(move.user, [LATER], until)
    assert loop.time() < until + 2
    with pytest.raises(SignalsUnavailable, match="TRYAGAIN"):
        await store.delete(move.user, soon(0.3))
    assert (await store.get(move.user, soon())).signals == (SIGNAL,)
    assert len(caplog.messages) == 1


async def test_what_has_moved_is_found_at_its_new_node_at_once(
    store: RedisSignalStore, move: Move
) -> None:
    """Also before the node that the map is fetched from has heard of it."""
    await store.append(move.user, [SIGNAL], soon())
    move.begin("signals")
    move.end()
    states = await asyncio.gather(*(store.get(move.user, soon()) for _ in range(8)))
    assert {state.signals for state in states} == {(SIGNAL,)}
    assert (await store.append(move.user, [LATER], soon())).stored == 1


async def test_a_move_to_a_node_that_died_costs_no_other_user_anything(
    cluster: RedisClusterParts, store: RedisSignalStore
) -> None:
    newcomer = cluster.nodes[3]
    mover, other = (Move(cluster, newcomer) for _ in range(2))
    for user in (mover.user, other.user):
        await store.append(user, [SIGNAL], soon())
    mover.begin()
    newcomer.kill()
    try:
        for _ in range(3):
            with pytest.raises(SignalsUnavailable, match="CLUSTERDOWN"):
                await store.get(mover.user, soon())
            assert (await store.get(other.user, soon())).signals == (SIGNAL,)
    finally:
        newcomer.start()
        async with asyncio.timeout(20):
            while not takes_part(newcomer):
                await asyncio.sleep(0.05)
        mover.end()
    assert (await store.get(mover.user, soon())).signals == (SIGNAL,)


async def test_a_slot_that_was_nobodys_when_the_map_was_fetched_is_served_once_it_is_somebodys(
    cluster: RedisClusterParts,
) -> None:
    user = "nobody's"
    slot = slot_of(user_keys(user))
    owner = cluster.nodes[slot // (SLOTS // 3 + 1)]
    for node in cluster.nodes:
        with node.client() as client:
            client.execute_command("CLUSTER", "DELSLOTS", slot)
    store = RedisSignalStore(connect(cluster.url))
    try:
        for call in (store.get(user, soon()), store.append(user, [SIGNAL], soon())):
            with pytest.raises(SignalsUnavailable, match="CLUSTERDOWN"):
                await call
    finally:
        with owner.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTS", slot)
    async with asyncio.timeout(20):
        while True:
            try:
                await store.append(user, [SIGNAL], soon())
                break
            except SignalsUnavailable:
                await asyncio.sleep(0.1)
    assert (await store.get(user, soon())).signals == (SIGNAL,)
    await store.close()


async def test_a_cluster_that_came_back_at_other_addresses_is_found_by_the_name_in_the_url() -> (
    None
):
    """As when all its pods are new, and only the service's name is still what it was."""
    old = RedisClusterParts([RedisServer(cluster=True) for _ in range(3)])
    new = RedisClusterParts([RedisServer(cluster=True) for _ in range(3)])
    try:
        old.start()
        async with Wire(old.nodes[0].port) as name:
            store = RedisSignalStore(connect(f"redis-cluster://127.0.0.1:{name.port}"))
            users = [f"user {n}" for n in range(9)]
            await asyncio.gather(*(store.append(user, [SIGNAL], soon()) for user in users))
            old.close()
            await asyncio.to_thread(new.start)
            name.target = new.nodes[0].port
            async with asyncio.timeout(20):
                for user in users:
                    while True:
                        try:
                            await store.append(user, [SIGNAL], soon())
                            break
                        except SignalsUnavailable:
                            await asyncio.sleep(0.1)
            await store.close()
    finally:
        old.close()
        new.close()


async def test_nodes_that_nobody_has_given_a_slot_are_said_to_serve_nobody() -> None:
    server = RedisServer(cluster=True).start()
    store = RedisSignalStore(connect(f"redis-cluster://127.0.0.1:{server.port}"))
    try:
        for call in (store.get("u", soon()), store.delete("u", soon()), store.check(soon())):
            with pytest.raises(SignalsUnavailable, match="CLUSTERDOWN"):
                await call
    finally:
        await store.close()
        server.close()
