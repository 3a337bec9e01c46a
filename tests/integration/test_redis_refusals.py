"""What Redis refuses: found by the checks, said by its kind, never an error that nobody foresaw."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis

from service.commands.doctor import Finding, examine
from service.errors import EventsUnavailable, SignalsUnavailable
from service.events.store import Events
from service.events.streams import EventLimits
from service.records import KeptList, Query, Signal
from service.redis.calls import Calls
from service.redis.client import connect
from service.settings import Settings
from service.signals.store import RedisSignalStore
from tests.parts.redis import RedisServer, soon

pytestmark = pytest.mark.redis

_PAGE = (Path(__file__).parents[2] / "docs" / "signals.md").read_text()
_RULES = re.search(r"user gateway on >word (.*)", _PAGE)
assert _RULES is not None
RULES = _RULES[1].split()
"""What the documentation says that the gateway's user needs."""
_MORE = re.search(r"user gateway (~events:.*)", _PAGE)
assert _MORE is not None
EVENT_RULES = _MORE[1].split()
"""What it needs for events besides."""
SHARED = {"+evalsha", "+eval", "+get", "+set", "+expire", "+xadd", "+xtrim", "+time"}
"""What both need."""
NOT_IN_SCRIPTS = {"+ping", "+info", "+object"}


def signal(n: int = 0) -> Signal:
    return Signal(int(time.time() * 1000) + n, "search", "a solar eclipse", f"e{n}")


def kept() -> KeptList:
    return KeptList("s", "f00d", signal().at_ms, (Query("eclipse"),))


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[RedisSignalStore]:
    store = RedisSignalStore(connect(redis_server.url, pool=2), calls=2)
    yield store
    await store.close()


def events_at(url: str) -> Events:
    calls = Calls(connect(url, pool=2), at_once=2, failure=EventsUnavailable)
    return Events(calls, EventLimits(100, 60))


async def doctor_of(url: str, folder: Path) -> dict[str, Finding]:
    """What doctor finds, of a gateway that has nothing but Redis."""
    found = await examine(Settings(redis_url=url, data_dir=folder, port=1))
    return {finding.part: finding for finding in found}


# --- checks ------------------------------------------------------------------------------------


async def test_a_check_leaves_nothing_behind(
    redis_server: RedisServer, store: RedisSignalStore
) -> None:
    with redis_server.client() as client:
        for _ in range(3):
            await store.check(soon())
            assert client.keys() == [b"tomb:{!0}"]
        async with asyncio.timeout(10):
            while client.dbsize():
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("missing", [rule for rule in RULES if rule not in NOT_IN_SCRIPTS])
async def test_a_right_that_is_missing_is_found_and_named(
    redis_server: RedisServer, missing: str
) -> None:
    with redis_server.client() as client:
        left = [rule for rule in RULES if rule != missing]
        client.execute_command("ACL", "SETUSER", "gateway", "on", ">word", *left)
    store = RedisSignalStore(connect(f"redis://gateway:word@127.0.0.1:{redis_server.port}"))
    with pytest.raises(SignalsUnavailable) as refused:
        await store.check(soon())
    assert str(refused.value) == f"Redis failed: NOPERM: its user lacks {missing}"
    assert "docs/signals.md" in refused.value.remedy
    await store.close()


@pytest.mark.parametrize("missing", [*EVENT_RULES, *sorted(SHARED)])
async def test_a_right_that_events_lack_is_found_and_named(
    redis_server: RedisServer, missing: str
) -> None:
    with redis_server.client() as client:
        left = [rule for rule in (*RULES, *EVENT_RULES) if rule != missing]
        client.execute_command("ACL", "SETUSER", "gateway", "on", ">word", *left)
        events = events_at(f"redis://gateway:word@127.0.0.1:{redis_server.port}")
        with pytest.raises(EventsUnavailable) as refused:
            await events.check(soon())
        assert str(refused.value) == f"Redis failed: NOPERM: its user lacks {missing}"
        if missing != "+expire":
            async with asyncio.timeout(10):
                while client.dbsize():
                    await asyncio.sleep(0.05)


async def test_signals_need_no_right_of_events(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        client.execute_command("ACL", "SETUSER", "gateway", "on", ">word", *RULES)
    store = RedisSignalStore(connect(f"redis://gateway:word@127.0.0.1:{redis_server.port}"))
    await store.check(soon())
    await store.close()


async def test_a_check_of_events_passes_over_and_over_and_leaves_nothing_behind(
    redis_server: RedisServer,
) -> None:
    events = events_at(redis_server.url)
    with redis_server.client() as client:
        for _ in range(3):
            await events.check(soon())
        async with asyncio.timeout(10):
            while client.dbsize():
                await asyncio.sleep(0.05)


async def test_doctor_names_a_right_that_events_lack_and_says_where_they_are_off(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with redis_server.client() as client:
        client.execute_command("ACL", "SETUSER", "gateway", "on", ">word", *RULES)
    url = f"redis://gateway:word@127.0.0.1:{redis_server.port}"
    found = await doctor_of(url, tmp_path)
    assert not found["redis"].remedy
    for right in EVENT_RULES:
        assert right in found["events"].says.split()
    assert "docs/signals.md" in found["events"].remedy
    off = await examine(Settings(redis_url=url, data_dir=tmp_path, port=1, events_kept=0))
    assert [one.remedy for one in off if one.part == "events"] == [""]


async def test_a_redis_that_only_answers_pings_is_not_fine(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with redis_server.client() as client:
        client.execute_command("ACL", "SETUSER", "gateway", "on", ">word", "~*", "+ping")
    url = f"redis://gateway:word@127.0.0.1:{redis_server.port}"
    found = (await doctor_of(url, tmp_path))["redis"]
    for right in set(RULES) - NOT_IN_SCRIPTS:
        assert right.startswith("~") or right in found.says.split()
    assert "docs/signals.md" in found.remedy


# --- memory ------------------------------------------------------------------------------------


async def test_a_full_redis_forgets_users_and_reads_but_writes_nothing(
    redis_server: RedisServer, store: RedisSignalStore, tmp_path: Path
) -> None:
    await store.append("u", [signal()], soon())
    await store.keep("u", kept(), soon())
    with redis_server.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1kb")
    assert (await store.get("u", soon())).signals
    for write in (store.append("u", [signal(1)], soon()), store.keep("u", kept(), soon())):
        with pytest.raises(SignalsUnavailable, match="OOM: it is full"):
            await write
    assert await store.delete("u", soon()) is True
    assert await store.delete("a stranger", soon()) is False
    with redis_server.client() as client:
        left = set(client.keys("tomb:*")) | set(client.keys("sig:*")) | set(client.keys("int:*"))
        assert left == {b"tomb:{a%20stranger}", b"tomb:{u}"}
    with pytest.raises(SignalsUnavailable, match="OOM"):
        await store.check(soon())
    assert "maxmemory" in (await doctor_of(redis_server.url, tmp_path))["redis"].remedy


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_doctor_warns_of_a_redis_that_removes_tombstones_and_checks_do_not_mind(
    redis_server: RedisServer, store: RedisSignalStore, tmp_path: Path, policy: str
) -> None:
    with redis_server.client() as client:
        client.config_set("maxmemory-policy", policy)
        unlimited = (await doctor_of(redis_server.url, tmp_path))["redis memory"]
        assert not unlimited.remedy, "without a limit nothing is removed"
        client.config_set("maxmemory", "100mb")
    found = await doctor_of(redis_server.url, tmp_path)
    assert policy in found["redis memory"].says
    assert "noeviction" in found["redis memory"].remedy
    assert not found["redis"].remedy
    await store.check(soon())


async def test_doctor_says_when_it_may_not_ask_for_the_policy(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with redis_server.client() as client:
        rules = [rule for rule in RULES if rule != "+info"]
        client.execute_command("ACL", "SETUSER", "gateway", "on", ">word", *rules)
    url = f"redis://gateway:word@127.0.0.1:{redis_server.port}"
    found = await doctor_of(url, tmp_path)
    assert not found["redis"].remedy
    assert "+info" in found["redis memory"].says


async def test_doctor_says_how_users_would_take_half_the_memory_and_leaves_nothing_behind(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    spacious = (await doctor_of(redis_server.url, tmp_path))["redis packing"]
    assert not spacious.remedy, "not every Redis can be told"
    told = dict(re.findall(r"(\S+-max-\S+) (\d+)", spacious.says))
    assert "zset-max-ziplist-value" in told
    with redis_server.client() as client:
        for name, value in told.items():
            client.config_set(name, value)
        found = (await doctor_of(redis_server.url, tmp_path))["redis packing"]
        assert found.says == "keeps users packed"
        assert not client.keys("sig:*")


async def test_doctor_says_when_it_may_not_ask_how_users_are_kept(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with redis_server.client() as client:
        rules = [rule for rule in RULES if rule != "+object"]
        client.execute_command("ACL", "SETUSER", "gateway", "on", ">word", *rules)
        url = f"redis://gateway:word@127.0.0.1:{redis_server.port}"
        found = await doctor_of(url, tmp_path)
        assert not found["redis"].remedy
        assert "+object" in found["redis packing"].says
        assert not client.keys("sig:*")


# --- a real server that refuses ------------------------------------------------------------------


async def test_a_script_of_somebody_else_is_said_and_waited_out(
    redis_server: RedisServer, store: RedisSignalStore
) -> None:
    await store.append("u", [signal()], soon())

    def hang() -> None:
        with redis_server.client() as other, contextlib.suppress(redis.ResponseError):
            other.eval("while true do end", 0)

    with redis_server.client() as client:
        client.config_set("lua-time-limit", 50)
        thread = threading.Thread(target=hang)
        thread.start()
        try:
            await asyncio.sleep(0.3)
            with pytest.raises(SignalsUnavailable, match="BUSY") as refused:
                await store.get("u", soon())
            assert "SCRIPT KILL" in refused.value.remedy
        finally:
            await asyncio.to_thread(client.script_kill)
            thread.join()
    assert (await store.get("u", soon())).signals


@pytest.mark.parametrize(
    ("url", "kind"),
    [("redis://127.0.0.1:{}", "NOAUTH"), ("redis://:old@127.0.0.1:{}", "WRONGPASS")],
)
async def test_a_password_that_was_changed_is_said_and_no_other_fault_made_of_it(
    redis_server: RedisServer, url: str, kind: str
) -> None:
    with redis_server.client() as client:
        client.config_set("requirepass", "old" if "old" in url else "")
        admin = redis.Redis(port=redis_server.port, password="old" if "old" in url else None)
        store = RedisSignalStore(connect(url.format(redis_server.port)))
        await store.append("u", [signal()], soon())
        admin.config_set("requirepass", "new")
        client.close()
        with redis.Redis(port=redis_server.port, password="new") as again:
            again.client_kill_filter(_type="normal", skipme=True)
        with pytest.raises(SignalsUnavailable, match=kind) as refused:
            await store.append("u", [signal()], soon())
        assert "INTERESTS_REDIS_PASSWORD" in refused.value.remedy
        admin.close()
    await store.close()


async def test_a_redis_without_room_for_another_client_says_so(
    redis_server: RedisServer, store: RedisSignalStore
) -> None:
    with redis_server.client() as client:
        client.config_set("maxclients", 1)
        with pytest.raises(SignalsUnavailable, match="MAXCLIENTS"):
            await store.get("u", soon())
        client.config_set("maxclients", 100)
    assert (await store.get("u", soon())).signals == ()


async def test_scripts_that_were_flushed_between_two_calls_are_sent_again(
    redis_server: RedisServer, store: RedisSignalStore
) -> None:
    with redis_server.client() as client:
        for n in range(3):
            client.script_flush()
            await store.append("u", [signal(n)], soon())
            client.script_flush()
            await store.keep("u", kept(), soon())
            await store.check(soon())
    assert len((await store.get("u", soon())).signals) == 3


# --- every refusal, as Redis 6.2 and 7 word it ---------------------------------------------------


class Refusing:
    """Answers each command with the same bytes. What has no real part to be had from: a server
    that loads, or one of a version that no wheel brings."""

    def __init__(self, reply: str) -> None:
        self.scripts = 0
        self.port = 0
        self._reply = reply.encode() + b"\r\n"
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Refusing:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: Any) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(1 << 20):
            self.scripts += len(re.findall(rb"\r\nEVAL", chunk))
            writer.write(self._reply)
        writer.close()


IN_SCRIPT = "-ERR Error running script (call to f_0): @user_script:16: @user_script: 16: "
TABLE = [
    ("-LOADING Redis is loading the dataset in memory", "LOADING", 2),
    ("-READONLY You can't write against a read only replica. script: 0, on @user_script:8.",
     "READONLY", 2),
    (f"{IN_SCRIPT}-READONLY You can't write against a read only replica.", "READONLY", 2),
    ("-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
     "MASTERDOWN", 2),
    ("-CLUSTERDOWN Hash slot not served", "CLUSTERDOWN", 1),
    ("-BUSY Redis is busy running a script. You can only call SCRIPT KILL", "BUSY", 1),
    ("-OOM command not allowed when used memory > 'maxmemory'. script: 0", "OOM", 1),
    (f"{IN_SCRIPT}-OOM command not allowed when used memory > 'maxmemory'.", "OOM", 1),
    ("-MISCONF Redis is configured to save RDB snapshots, but it's unable to persist", "MISCONF",
     1),
    (f"{IN_SCRIPT}-MISCONF Errors writing to the AOF file", "MISCONF", 1),
    ("-NOREPLICAS Not enough good replicas to write.", "NOREPLICAS", 1),
    ("-NOPERM this user has no permissions to run the 'evalsha' command", "NOPERM", 1),
    (f"{IN_SCRIPT}The user executing the script can't run this command or subcommand", "NOPERM",
     1),
    ("-ERR ACL failure in script: User g has no permissions to run the 'zadd' command", "NOPERM",
     1),
    ("-NOAUTH Authentication required.", "NOAUTH", 1),
    ("-WRONGPASS invalid username-password pair or user is disabled.", "WRONGPASS", 1),
    ("-ERR max number of clients reached", "MAXCLIENTS", 2),
    ("-WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE", 1),
    ("-NOSCRIPT No matching script. Please use EVAL.", "No matching script", 2),
    ("-ERR something that nobody has heard of", "nobody has heard of", 1),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "kind", "tries"), TABLE)
async def test_each_refusal_is_said_once_by_its_kind_and_tried_again_where_that_may_help(
    reply: str, kind: str, tries: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "service.signals")
    async with Refusing(reply) as server:
        store = RedisSignalStore(connect(f"redis://127.0.0.1:{server.port}"))
        with pytest.raises(SignalsUnavailable, match=kind) as refused:
            await store.delete("u", soon())
        assert refused.value.remedy
        assert server.scripts == tries
        for call in (store.get("u", soon()), store.check(soon()), store.delete("u", soon())):
            with pytest.raises(SignalsUnavailable, match=kind):
                await call
        await store.close()
    assert len(caplog.messages) == 1
    assert kind in caplog.messages[0]
