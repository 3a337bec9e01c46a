"""What the writer sends and when, over a script that is run by a fake of Redis."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from service.errors import EventsUnavailable
from service.events import writer as module
from service.events.exposures import exposure
from service.events.streams import EventLimits, Kind
from service.events.writer import EventWriter
from service.identity import Identity
from service.redis.calls import Calls
from service.redis.running import Arg
from service.redis.scripts import Script
from tests.unit.service.events.test_exposures import ANSWER


class FakeRedis:
    """Takes batches as the script does; `away` makes it fail, `deaf` after it has taken one."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, dict[str, Any]]] = []
        self.last = 0
        self.away = False
        self.deaf = False
        self.calls = 0
        self.read_ms: list[int] = []

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Any:
        self.calls += 1
        if self.away:
            raise OSError("away")
        number = int(args[2])
        if number > self.last:
            self.last = number
            self.read_ms += map(int, args[5::4])
            for kind, data in zip(args[3::4], args[4::4], strict=True):
                self.entries.append((str(kind), orjson.loads(data)))
        if self.deaf:
            raise OSError("the answer is lost")
        return 1

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.entries]


@pytest.fixture
def redis() -> FakeRedis:
    return FakeRedis()


class Counting:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __call__(self, kind: Kind, count: int) -> None:
        self.counts[kind] += count


def writing(redis: FakeRedis, identity: Identity) -> tuple[EventWriter, Counting, Counting]:
    wrote, dropped = Counting(), Counting()
    calls = Calls(redis, at_once=1, failure=EventsUnavailable)  # type: ignore[arg-type]
    limits = EventLimits(100, 60)
    return EventWriter(calls, limits, identity, wrote=wrote, dropped=dropped), wrote, dropped


def answered(identity: Identity) -> Any:
    return replace(ANSWER, request_id=identity.request_id(ANSWER.user_id))


async def until(met: Any) -> None:
    async with asyncio.timeout(10):
        while not met():
            await asyncio.sleep(0.005)


async def test_answers_are_written_in_one_batch_with_their_numbers(redis: FakeRedis) -> None:
    identity = Identity()
    writer, wrote, _ = writing(redis, identity)
    writer.start()
    for _ in range(5):
        writer.expose(answered(identity))
    await until(lambda: len(redis.entries) == 5)
    assert redis.calls == 1
    assert [entry["seq"] for _, entry in redis.entries] == [0, 1, 2, 3, 4]
    assert {entry["process"] for _, entry in redis.entries} == {identity.process}
    await writer.stop()
    assert redis.kinds == ["x"] * 5 + ["e"]
    assert redis.entries[-1][1]["seq"] == 5
    assert wrote.counts == {Kind.EXPOSURE: 5, Kind.END: 1}


async def test_nothing_is_lost_or_written_twice_while_redis_is_away(
    redis: FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE_S", 0.01)
    identity = Identity()
    writer, _, dropped = writing(redis, identity)
    writer.start()
    redis.deaf = True
    writer.expose(answered(identity))
    await until(lambda: redis.calls > 2)
    redis.deaf, redis.away = False, True
    writer.expose(answered(identity))
    calls = redis.calls
    await until(lambda: redis.calls > calls + 2)
    redis.away = False
    await until(lambda: len(redis.entries) == 2)
    await writer.stop()
    assert [entry["seq"] for kind, entry in redis.entries if kind == "x"] == [0, 1]
    assert not dropped.counts


async def test_the_oldest_are_dropped_and_counted_when_too_many_wait(
    redis: FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = Identity()
    monkeypatch.setattr(module, "MOST_BYTES", 3.5 * len(exposure(answered(identity), 1, 1, 1)))
    first = identity.sequence
    writer, _, dropped = writing(redis, identity)
    for _ in range(5):
        writer.expose(answered(identity))
    await asyncio.sleep(0)
    assert dropped.counts == {Kind.EXPOSURE: 2}
    writer.start()
    await until(lambda: redis.entries)
    await writer.stop()
    assert [entry["seq"] for kind, entry in redis.entries if kind == "x"] == [
        first + 2,
        first + 3,
        first + 4,
    ]


async def test_the_end_waits_no_longer_than_its_time_and_counts_what_is_lost(
    redis: FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LAST_S", 0.05)
    identity = Identity()
    writer, wrote, dropped = writing(redis, identity)
    redis.away = True
    writer.start()
    writer.expose(answered(identity))
    await writer.stop()
    assert dropped.counts == {Kind.EXPOSURE: 1, Kind.END: 1}
    assert not wrote.counts
    await writer.stop()  # a second time is no fault


async def test_other_events_keep_their_kind(redis: FakeRedis) -> None:
    writer, _, _ = writing(redis, Identity())
    writer.start()
    writer.put(Kind.SHADOW, "maya", b'{"v":1}')
    await until(lambda: redis.entries)
    await writer.stop()
    assert redis.kinds == ["s", "e"]


async def test_an_answer_that_cannot_be_encoded_is_counted_and_holds_up_no_other(
    redis: FakeRedis,
) -> None:
    identity = Identity()
    writer, _, dropped = writing(redis, identity)
    writer.start()
    writer.expose(replace(ANSWER, request_id="none of ours"))
    writer.expose(answered(identity))
    await until(lambda: redis.entries)
    await writer.stop()
    assert redis.kinds == ["x", "e"]
    assert dropped.counts == {Kind.EXPOSURE: 1}


async def test_an_event_says_when_its_users_data_was_read(redis: FakeRedis) -> None:
    """What was read before a deletion is not written after it: the script compares the two."""
    identity = Identity()
    writer, _, _ = writing(redis, identity)
    writer.start()
    began_ms = time.time() * 1000 - ANSWER.timings.total
    writer.expose(answered(identity))
    await until(lambda: redis.entries)
    await writer.stop()
    assert began_ms - 2 <= redis.read_ms[0] <= began_ms + 1_000
