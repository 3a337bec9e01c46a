"""The signal store on a real Redis server: the contract of docs/signals.md."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis

from service.errors import InvalidInput, SignalsUnavailable
from service.records import Appended, KeptList, Query, Signal
from service.redis.client import connect
from service.signals.codec import encode
from service.signals.keys import change_stream, user_keys
from service.signals.store import RedisSignalStore, Retention
from tests.parts.redis import RedisServer, soon
from tests.parts.wire import Wire

pytestmark = pytest.mark.redis

NOW = 0


@pytest.fixture(autouse=True)
def now() -> None:
    """Each test's own now: in a long run the module's import is minutes ago."""
    global NOW
    NOW = int(time.time() * 1000)


DAY_S = 86_400


def signal(minutes_ago: float, text: str = "a solar eclipse", event: str | None = None) -> Signal:
    at_ms = NOW - int(minutes_ago * 60_000)
    return Signal(at_ms, "search", text, event or f"e{minutes_ago:g}")


def kept(student: str, minutes_ago: float = 0.0, text: str = "eclipse path") -> KeptList:
    queries = (Query(text, 0.5, "student", ("e1",)), Query("moon", 1.0))
    return KeptList(student, "f00d", NOW - int(minutes_ago * 60_000), queries)


@pytest.fixture
def user() -> str:
    return f"user {uuid4().hex}"


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[RedisSignalStore]:
    store = RedisSignalStore(connect(redis_url, pool=4), calls=4)
    yield store
    await store.close()


@pytest.fixture
def raw(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


# --- signals ---------------------------------------------------------------------------------


async def test_an_unknown_user_has_an_empty_state(store: RedisSignalStore, user: str) -> None:
    state = await store.get(user, soon())
    assert (state.signals, state.kept, state.corrupt) == ((), (), 0)


async def test_signals_come_back_oldest_first_with_every_field(
    store: RedisSignalStore, user: str
) -> None:
    full = Signal(NOW - 5, "purchase", "Teleskop für Anfänger 🔭", "p 1%", "sku-9", "optics", 2.5)
    assert (await store.append(user, [full, signal(3), signal(9)], soon())).stored == 3
    assert (await store.get(user, soon())).signals == (signal(9), signal(3), full)


async def test_late_events_sort_in_and_repeats_change_nothing(
    store: RedisSignalStore, user: str, raw: redis.Redis
) -> None:
    await store.append(user, [signal(2), signal(1)], soon())
    raw.expire(user_keys(user).signals, 1_000)
    assert (await store.append(user, [signal(2), signal(1)], soon())).stored == 0
    assert raw.ttl(user_keys(user).signals) <= 1_000
    assert (await store.append(user, [signal(60)], soon())).stored == 1
    assert (await store.get(user, soon())).signals == (signal(60), signal(2), signal(1))


async def test_the_first_event_with_an_id_wins_whatever_a_repeat_says(
    store: RedisSignalStore, user: str
) -> None:
    first, other = signal(5, event="same"), signal(1, "something else", event="same")
    assert (await store.append(user, [first, other], soon())).stored == 1
    assert (await store.append(user, [other], soon())).stored == 0
    assert (await store.get(user, soon())).signals == (first,)


async def test_the_oldest_are_trimmed_and_the_key_expires_after_its_newest_write(
    redis_url: str, user: str, raw: redis.Redis
) -> None:
    store = RedisSignalStore(connect(redis_url), retention=Retention(signals=3, signals_s=500))
    assert (await store.append(user, [signal(n) for n in range(1, 6)], soon())).stored == 3
    assert [known.id for known in (await store.get(user, soon())).signals] == ["e3", "e2", "e1"]
    assert (await store.append(user, [signal(99)], soon())).stored == 0, (
        "older than all that is kept"
    )
    assert raw.zcard(user_keys(user).signals) == 3
    assert 490 < raw.ttl(user_keys(user).signals) <= 500
    await store.close()


async def test_an_event_more_than_five_minutes_ahead_is_refused_and_nothing_written(
    store: RedisSignalStore, user: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await store.append(user, [signal(1), signal(-6)], soon())
    assert refused.value.field == "signals[1].at"
    assert (await store.get(user, soon())).signals == ()
    assert (await store.append(user, [signal(-4)], soon())).stored == 1


@pytest.mark.parametrize(
    "name",
    ["{a}{b}", "100%", "%7Ba%7D", "two words", "👩‍🚀", "ü" * 128, "a/b?c=d&e", "-", "}{"],
)
async def test_any_printable_user_id_has_a_state_of_its_own(
    store: RedisSignalStore, name: str
) -> None:
    await store.delete(name, soon())
    late = Signal(NOW + 60_000, "news", name, "own")
    await store.append(name, [late], soon())
    assert (await store.get(name, soon())).signals == (late,)
    await store.delete(name, soon())


async def test_ten_thousand_signals_of_a_foreign_writer_cost_no_more_than_the_newest_200(
    store: RedisSignalStore, user: str, raw: redis.Redis
) -> None:
    key = user_keys(user).signals
    raw.zadd(
        key, {encode(signal(n / 10, event=f"f{n}")): signal(n / 10).at_ms for n in range(10_000)}
    )
    state = await store.get(user, soon())
    assert len(state.signals) == 200
    assert state.signals[-1].id == "f0"
    assert (await store.append(user, [signal(0.5, event="mine")], soon())).stored == 1
    assert raw.zcard(key) == 200
    assert raw.ttl(key) > 0


async def test_a_user_stays_packed_however_much_is_written_at_once(user: str) -> None:
    server = RedisServer().start()
    store, raw = RedisSignalStore(connect(server.url)), server.client()
    try:
        raw.config_set("zset-max-ziplist-entries", 512)
        raw.config_set("zset-max-ziplist-value", 512)
        many = [signal(n, "x" * 600) for n in range(1_000)]
        assert await store.append(user, [*many, many[0]], soon()) == Appended(200, 1, 800)
        assert await store.append(user, many[::-1], soon()) == Appended(0, 200, 800)
        assert raw.object("encoding", user_keys(user).signals) in (b"ziplist", b"listpack")
        assert [one.id for one in (await store.get(user, soon())).signals] == [
            one.id for one in many[199::-1]
        ]
    finally:
        await store.close()
        server.close()


# --- corrupt entries -------------------------------------------------------------------------


async def test_corrupt_entries_are_passed_over_and_counted(
    store: RedisSignalStore, user: str, raw: redis.Redis
) -> None:
    await store.append(user, [signal(1)], soon())
    await store.keep(user, kept("good"), soon())
    bad = [b"\xff\xfe", b"x {}", b"y {broken", b'z {"d":"search","t":"\xff"}', b"e" * 600]
    raw.zadd(user_keys(user).signals, {member: NOW + index for index, member in enumerate(bad)})
    raw.hset(user_keys(user).lists, "bad", b'{"at":"no"}')
    state = await store.get(user, soon())
    assert state.signals == (signal(1),)
    assert [kept.student for kept in state.kept] == ["good"]
    assert state.corrupt == len(bad) + 1


async def test_a_key_of_a_wrong_type_degrades_the_answer_and_fails_writes_cleanly(
    store: RedisSignalStore, user: str, raw: redis.Redis
) -> None:
    await store.keep(user, kept("good"), soon())
    raw.set(user_keys(user).signals, "not a sorted set")
    state = await store.get(user, soon())
    assert (state.signals, len(state.kept), state.corrupt) == ((), 1, 1)
    with pytest.raises(SignalsUnavailable, match="WRONGTYPE"):
        await store.append(user, [signal(1)], soon())
    assert await store.delete(user, soon())
    assert (await store.append(user, [signal(-1)], soon())).stored == 1


async def test_of_two_foreign_members_with_one_id_the_earlier_stays(
    store: RedisSignalStore, user: str, raw: redis.Redis
) -> None:
    first, second = signal(9, event="same"), signal(1, "again", event="same")
    raw.zadd(
        user_keys(user).signals,
        {encode(added): added.at_ms for added in (first, second, signal(5))},
    )
    assert (await store.get(user, soon())).signals == (first, signal(5))


# --- kept lists ------------------------------------------------------------------------------


async def test_kept_lists_come_back_newest_first_and_the_oldest_beyond_four_gives_way(
    store: RedisSignalStore, user: str, raw: redis.Redis
) -> None:
    lists = [kept(f"student@{n}/t/d", minutes_ago=10 - n) for n in range(5)]
    for one in lists:
        await store.keep(user, one, soon())
    assert (await store.get(user, soon())).kept == tuple(reversed(lists[1:]))
    assert 0 < raw.ttl(user_keys(user).lists) <= 7 * DAY_S


async def test_an_older_list_never_replaces_a_newer_one(store: RedisSignalStore, user: str) -> None:
    await store.keep(user, kept("s", 1, "newer"), soon())
    await store.keep(user, kept("s", 9, "older"), soon())
    assert (await store.get(user, soon())).kept == (kept("s", 1, "newer"),)
    await store.keep(user, kept("s", 0, "newest"), soon())
    assert (await store.get(user, soon())).kept == (kept("s", 0, "newest"),)


async def test_an_unreadable_list_gives_way_before_all_others(
    store: RedisSignalStore, user: str, raw: redis.Redis
) -> None:
    raw.hset(user_keys(user).lists, mapping={f"bad{n}": "{" for n in range(6)})
    await store.keep(user, kept("good"), soon())
    state = await store.get(user, soon())
    assert [kept.student for kept in state.kept] == ["good"]
    assert state.corrupt == 3


# --- deletion --------------------------------------------------------------------------------


async def test_deleting_removes_all_leaves_a_tombstone_and_lets_the_user_return(
    store: RedisSignalStore, user: str, raw: redis.Redis
) -> None:
    keys = user_keys(user)
    assert await store.delete(user, soon()) is False
    raw.delete(keys.tombstone)
    await store.append(user, [signal(1)], soon())
    await store.keep(user, kept("s"), soon())
    assert await store.delete(user, soon()) is True
    assert not raw.exists(keys.signals, keys.lists)
    assert int(raw.get(keys.tombstone) or 0) >= NOW
    assert 364 * DAY_S < raw.ttl(keys.tombstone) <= 365 * DAY_S
    assert (await store.append(user, [signal(-1)], soon())).stored == 1
    assert (await store.get(user, soon())).signals == (signal(-1),)


@pytest.mark.parametrize("hours", [-2, 2])
async def test_a_gateway_with_another_clock_deletes_at_the_time_of_redis(
    redis_url: str, store: RedisSignalStore, user: str, hours: int
) -> None:
    """Ahead it must not delete what comes later, behind it must not let old events return."""
    skewed = RedisSignalStore(
        connect(redis_url), clock=lambda: int(time.time() * 1000) + hours * 3_600_000
    )
    await skewed.delete(user, soon())
    await skewed.close()
    done = await store.append(user, [signal(60), signal(-1)], soon())
    assert done == Appended(stored=1, repeated=0, dropped=1)
    assert (await store.get(user, soon())).signals == (signal(-1),)


async def test_what_became_of_signals_is_told_apart(redis_url: str, user: str) -> None:
    store = RedisSignalStore(connect(redis_url), retention=Retention(signals=2))
    assert await store.append(user, [signal(2), signal(1)], soon()) == Appended(2, 0, 0)
    done = await store.append(user, [signal(1), signal(9), signal(0.5)], soon())
    assert done == Appended(stored=1, repeated=1, dropped=1), "9 is older than all that is kept"
    await store.delete(user, soon())
    assert await store.append(user, [signal(1), signal(0.5)], soon()) == Appended(0, 0, 2)
    await store.close()


async def test_a_list_begun_before_a_deletion_never_outlives_it(
    redis_url: str, raw: redis.Redis
) -> None:
    """Many at once: reading, deleting and keeping in every order that they come in."""
    store = RedisSignalStore(connect(redis_url), calls=24)
    users = [f"user {uuid4().hex}" for _ in range(400)]

    async def turn(user: str) -> None:
        async def write() -> None:
            state = await store.get(user, soon(10))
            made = KeptList("s", "f00d", state.read_at_ms, (Query("eclipse"),))
            await store.keep(user, made, soon(10))

        await asyncio.gather(write(), store.delete(user, soon(10)), write())

    await asyncio.gather(*map(turn, users))
    for user in users:
        state = await store.get(user, soon(10))
        erased = int(raw.get(user_keys(user).tombstone) or 0)
        assert all(kept.made_at_ms > erased for kept in state.kept), "begun after the deletion"
    await store.close()


async def test_what_was_begun_before_a_deletion_does_not_bring_it_back(
    store: RedisSignalStore, user: str, raw: redis.Redis
) -> None:
    await store.delete(user, soon())
    await store.keep(user, kept("begun before"), soon())
    assert (await store.append(user, [signal(1)], soon())).stored == 0
    assert not raw.exists(user_keys(user).signals, user_keys(user).lists)
    raw.zadd(user_keys(user).signals, {encode(signal(2)): signal(2).at_ms})
    assert (await store.get(user, soon())).signals == (), "nor does a foreign writer"


# --- changes ---------------------------------------------------------------------------------


async def test_a_write_tells_the_refreshers_who_and_when_and_a_retry_tells_them_again(
    store: RedisSignalStore, user: str, raw: redis.Redis
) -> None:
    for _ in range(2):
        await store.append(user, [signal(3), signal(1)], soon())
    keys = user_keys(user)
    entries = [entry for _, entry in raw.xrange(keys.changes) if entry[b"u"] == keys.user.encode()]
    assert entries == [{b"u": keys.user.encode(), b"at": str(signal(1).at_ms).encode()}] * 2
    assert 0 < raw.ttl(keys.changes) <= 7 * DAY_S


async def test_streams_forget_entries_older_than_their_days(
    redis_url: str, user: str, raw: redis.Redis
) -> None:
    stream = change_stream(user_keys(user).user)
    raw.delete(stream)
    raw.xadd(stream, {"u": "old", "at": 1}, id=f"{NOW - 8 * DAY_S * 1000}-0")
    store = RedisSignalStore(connect(redis_url))
    await store.append(user, [signal(1)], soon())
    assert all(entry[b"u"] != b"old" for _, entry in raw.xrange(stream))
    await store.close()


async def test_many_users_are_written_at_once(store: RedisSignalStore, user: str) -> None:
    batch = {f"{user} {n}": [signal(1), signal(2)] for n in range(50)}
    assert (await store.append_many(batch, soon())).stored == 100
    assert len((await store.get(f"{user} 49", soon())).signals) == 2
    assert (await store.append_many(batch, soon())).stored == 0


# --- the wire --------------------------------------------------------------------------------


async def sent(wire: Wire, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
    """Begin a call; returns once it has gone over the wire."""
    before = wire.sent
    call = asyncio.create_task(work)
    async with asyncio.timeout(10):
        while wire.sent == before:
            await asyncio.sleep(0.001)
    return call


async def test_a_state_is_one_round_trip(redis_server: RedisServer, user: str) -> None:
    async with Wire(redis_server.port) as wire:
        store = RedisSignalStore(connect(f"redis://127.0.0.1:{wire.port}"))
        await store.append(user, [signal(n) for n in range(1, 100)], soon())
        await store.keep(user, kept("s"), soon())
        await store.get(user, soon())
        before = wire.sent
        for _ in range(5):
            state = await store.get(user, soon())
        assert (len(state.signals), len(state.kept)) == (99, 1)
        assert wire.sent - before == 5
        assert wire.connections == 1
        await store.close()


async def test_a_slow_server_is_left_at_the_deadline_and_its_answer_reaches_nobody_else(
    redis_server: RedisServer,
) -> None:
    async with Wire(redis_server.port) as wire:
        store = RedisSignalStore(connect(f"redis://127.0.0.1:{wire.port}", pool=1), calls=1)
        await store.append("anna", [signal(1, "for anna")], soon())
        await store.append("ben", [signal(1, "for ben")], soon())
        wire.open.clear()
        loop = asyncio.get_running_loop()
        until = loop.time() + 0.1
        with pytest.raises(SignalsUnavailable, match="in time"):
            await store.get("anna", until)
        assert 0 <= loop.time() - until < 2
        wire.open.set()
        state = await store.get("ben", soon())
        assert [known.text for known in state.signals] == ["for ben"]
        assert wire.connections == 2, "the connection with an answer outstanding was dropped"
        await store.close()


async def test_a_cancelled_caller_drops_its_connection(redis_server: RedisServer) -> None:
    async with Wire(redis_server.port) as wire:
        store = RedisSignalStore(connect(f"redis://127.0.0.1:{wire.port}", pool=1), calls=1)
        for name in ("anna", "ben"):
            await store.append(name, [signal(1, f"for {name}")], soon())
        for _ in range(5):
            wire.open.clear()
            call = await sent(wire, store.get("anna", soon()))
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            wire.open.set()
            state = await store.get("ben", soon())
            assert [known.text for known in state.signals] == ["for ben"]
        async with asyncio.timeout(10):
            while wire.alive > 1:
                await asyncio.sleep(0.01)
        await store.close()


async def test_calls_beyond_the_pool_wait_and_open_no_more_connections(
    redis_server: RedisServer,
) -> None:
    async with Wire(redis_server.port) as wire:
        store = RedisSignalStore(connect(f"redis://127.0.0.1:{wire.port}", pool=2), calls=2)
        await asyncio.gather(*(store.get(f"u{n}", soon()) for n in range(50)))
        assert wire.connections == 2
        wire.open.clear()
        loop = asyncio.get_running_loop()
        until = loop.time() + 0.1
        calls = [store.get(f"u{n}", until) for n in range(10)]
        failures = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(failure, SignalsUnavailable) for failure in failures)
        assert 0 <= loop.time() - until < 2
        wire.open.set()
        await store.close()


async def test_a_killed_server_is_reported_at_once_and_used_again_when_it_is_back() -> None:
    server = RedisServer(durable=True).start()
    store = RedisSignalStore(connect(server.url, pool=8), calls=8)
    try:
        await asyncio.gather(*(store.append(f"u{n}", [signal(1)], soon()) for n in range(8)))
        server.kill()
        started = time.monotonic()
        with pytest.raises(SignalsUnavailable):
            await store.get("u1", soon(5))
        with pytest.raises(SignalsUnavailable):
            await store.append("u1", [signal(2)], soon(5))
        with pytest.raises(SignalsUnavailable):
            await store.check(soon(5))
        assert time.monotonic() - started < 2, "a refused connection is not waited out"
        server.start()
        states = await asyncio.gather(*(store.get(f"u{n}", soon()) for n in range(8)))
        assert all(state.signals == (signal(1),) for state in states), "acknowledged, so kept"
        await store.check(soon())
    finally:
        await store.close()
        server.close()


async def test_a_server_killed_in_the_middle_of_a_call_fails_that_call_only(
    redis_server: RedisServer,
) -> None:
    async with Wire(redis_server.port) as wire:
        store = RedisSignalStore(connect(f"redis://127.0.0.1:{wire.port}"))
        await store.append("u", [signal(1)], soon())
        redis_server.freeze()
        call = await sent(wire, store.get("u", soon()))
        redis_server.kill()
        with pytest.raises(SignalsUnavailable):
            await call
        redis_server.start()
        assert (await store.get("u", soon())).signals == ()
        await store.close()


async def test_a_server_that_forgot_the_scripts_is_taught_them_again(
    redis_server: RedisServer,
) -> None:
    store = RedisSignalStore(connect(redis_server.url))
    await store.append("u", [signal(1)], soon())
    redis_server.client().script_flush()
    assert (await store.append("u", [signal(2)], soon())).stored == 1
    assert len((await store.get("u", soon())).signals) == 2
    await store.close()


async def test_a_wrong_password_is_unavailable_and_the_right_one_works() -> None:
    server = RedisServer(password="s p:ce/d").start()
    wrong = RedisSignalStore(connect(f"redis://:nope@127.0.0.1:{server.port}"))
    right = RedisSignalStore(connect(f"redis://127.0.0.1:{server.port}/0", password="s p:ce/d"))
    in_url = RedisSignalStore(connect(f"redis://:s%20p%3Ace%2Fd@127.0.0.1:{server.port}"))
    try:
        with pytest.raises(SignalsUnavailable, match=r"(?i)wrongpass|password"):
            await wrong.check(soon())
        await right.check(soon())
        await in_url.check(soon())
    finally:
        for store in (wrong, right, in_url):
            await store.close()
        server.close()


DOCS = (Path(__file__).parents[2] / "docs" / "signals.md").read_text()


async def test_the_documented_permissions_are_enough(redis_server: RedisServer) -> None:
    line = re.search(r"user (gateway on >word .*)", DOCS)
    assert line is not None
    redis_server.client().execute_command("ACL", "SETUSER", *line[1].split())
    store = RedisSignalStore(connect(f"redis://gateway:word@127.0.0.1:{redis_server.port}/0"))
    await store.check(soon())
    assert (await store.append("u", [signal(n) for n in range(300)], soon())).stored == 200
    for n in range(6):
        await store.keep("u", kept(f"s{n}", minutes_ago=n), soon())
    assert len((await store.get("u", soon())).kept) == 4
    assert await store.delete("u", soon())
    await store.close()


async def test_a_foreign_writer_who_follows_the_documented_example_is_read(
    store: RedisSignalStore, raw: redis.Redis
) -> None:
    written = re.search(r"ZADD sig:\{maya\} (\d+) '(.*)'", DOCS)
    announced = re.search(r"XADD (changes:\{\d+\}) .* maya", DOCS)
    assert written is not None
    assert announced is not None
    await store.delete("maya", soon())
    raw.delete(user_keys("maya").tombstone)
    raw.zadd(user_keys("maya").signals, {written[2]: int(written[1])})
    (found,) = (await store.get("maya", soon())).signals
    assert found == Signal(
        1795112640000, "purchase", "Tripod, carbon", "o-981", "sku-77", "photo", 2.0
    )
    assert announced[1] == user_keys("maya").changes
