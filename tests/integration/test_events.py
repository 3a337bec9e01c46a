"""Exposures and feedback of a real gateway in a real Redis: what is kept, lost and refused."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from service.errors import EventsUnavailable
from service.events.feedback import Feedback, Outcome, Taken
from service.events.store import Events
from service.events.streams import (
    ADD,
    PARTITIONS,
    EventLimits,
    Kind,
    batch_key,
    seen_key,
    stream_key,
    user_keys,
)
from service.events.writer import EventWriter
from service.identity import Identity, RequestName, named
from service.redis.calls import Calls
from service.redis.client import connect
from tests.parts.gateway import Gateway, running_gateway, wait
from tests.parts.redis import RedisClusterParts, RedisServer, soon

pytestmark = [pytest.mark.redis, pytest.mark.timeout(120)]

SECRET = "signs-request-ids"
LIMITS = EventLimits(100, 60)
Start = Callable[..., AbstractContextManager[Gateway]]


@pytest.fixture
def start(demo_index: Path, built_student: Path, redis_server: RedisServer) -> Start:
    """Starts gateways over this test's Redis; without an engine lists come from the heuristic."""

    def running(**more: str) -> AbstractContextManager[Gateway]:
        settings = {
            "REDIS_URL": redis_server.url,
            "STUDENTS__MAIN__MANIFEST": str(built_student / "student.yaml"),
            "SECRET": SECRET,
        }
        return running_gateway(demo_index, settings | more)

    return running


@pytest.fixture
def gateway(start: Start) -> Iterator[Gateway]:
    with start() as running:
        running.wait_for("index")
        yield running


def entries(redis: RedisServer, *kinds: str) -> list[dict[str, Any]]:
    """The objects of these kinds in all streams, each with its partition and its entry's ms."""
    found = []
    with redis.client() as client:
        for partition in range(PARTITIONS):
            for id_, fields in client.xrange(stream_key(partition)):
                if fields[b"k"].decode() in kinds:
                    written_ms = int(id_.partition(b"-")[0])
                    place = {"partition": partition, "written_ms": written_ms}
                    found.append(orjson.loads(fields[b"d"]) | place)
    return found


def click(answer: dict[str, Any], event_id: str = "e1", **more: Any) -> dict[str, Any]:
    fields = {"event_id": event_id, "request_id": answer["request_id"]}
    fields |= {"user_id": answer["user_id"], "kind": "click"}
    return fields | {"article_id": answer["candidates"][0]["id"]} | more


def send(gateway: Gateway, *events: dict[str, Any]) -> dict[str, Any]:
    answer = gateway.client.post("/v1/feedback", json={"events": list(events)})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


# --- exposures ----------------------------------------------------------------------------------


def test_each_answer_is_one_exposure_alone_and_in_a_batch(
    gateway: Gateway, redis_server: RedisServer
) -> None:
    session = [{"domain": "search", "text": "electric ferry battery"}]
    alone = [gateway.interests(f"user {n}", limit=5, signals=session) for n in range(10)]
    batch = {"requests": [{"user_id": "a"}, {"user_id": ""}, {"user_id": "b"}]}
    results = gateway.client.post("/v1/interests:batch", json=batch).json()["results"]
    answers = [*alone, results[0]["result"], results[2]["result"]]
    wait(lambda: len(entries(redis_server, "x")) == len(answers), "an exposure for each answer")
    found = {one["id"]: one for one in entries(redis_server, "x")}
    for answer in answers:
        one = found[answer["request_id"]]
        assert one["user"] == answer["user_id"]
        assert one["ids"] == [candidate["id"] for candidate in answer["candidates"]]
        assert [query[0] for query in one["queries"]] == [q["text"] for q in answer["queries"]]
        assert one["student"] == "{name}@{version}".format(**answer["student"])
        assert named(one["id"]).process == one["process"]
        assert one["partition"] == one["process"] % PARTITIONS
    assert found[alone[0]["request_id"]]["signals"] == {"search": 1}
    assert sorted(one["seq"] for one in found.values()) == list(range(len(answers)))
    assert min(one["written_ms"] - one["at"] for one in found.values()) <= 100
    assert gateway.metric("interests_events_written_total", kind="exposure") == len(answers)


def test_what_a_killed_gateway_had_not_written_shows_as_a_gap(
    start: Start, redis_server: RedisServer
) -> None:
    with start() as killed:
        killed.wait_for("index")
        for _ in range(5):
            killed.interests("maya")
        wait(lambda: len(entries(redis_server, "x")) == 5, "the first five")
        last = killed.interests("maya")
        killed.process.kill()
        killed.process.wait()
    written = [one["seq"] for one in entries(redis_server, "x")]
    lost = named(last["request_id"])
    assert lost.sequence == 5
    assert written[:5] == list(range(5))
    assert written[5:] in ([], [lost.sequence])  # it had not been written, or just so
    assert entries(redis_server, "e") == []


def test_a_drained_gateway_writes_all_and_that_it_has_ended(
    start: Start, redis_server: RedisServer
) -> None:
    with start() as drained:
        drained.wait_for("index")
        last = [drained.interests("maya") for _ in range(3)][-1]
        drained.process.send_signal(signal.SIGTERM)
        assert drained.process.wait(20) == 0
    assert [one["seq"] for one in entries(redis_server, "x")] == [0, 1, 2]
    [end] = entries(redis_server, "e")
    process = named(last["request_id"]).process
    assert (end["process"], end["seq"]) == (process, 3)


def test_answers_given_while_redis_is_away_are_written_when_it_is_back(
    gateway: Gateway, redis_server: RedisServer
) -> None:
    redis_server.kill()
    asked = [gateway.interests("maya")["request_id"] for _ in range(3)]
    answer = gateway.client.post(
        "/v1/feedback",
        json={
            "events": [
                click({"request_id": asked[0], "user_id": "maya", "candidates": [{"id": "a"}]})
            ]
        },
    )
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:interests:problem:events-unavailable"
    redis_server.start()
    wait(lambda: len(entries(redis_server, "x")) == 3, "the three that waited")
    assert [one["id"] for one in entries(redis_server, "x")] == asked
    assert gateway.metric("interests_events_dropped_total") == 0


def test_nothing_is_written_where_events_are_off(start: Start, redis_server: RedisServer) -> None:
    with start(EVENTS_KEPT="0") as off:
        off.wait_for("index")
        answer = off.interests("maya")
        refused = off.client.post("/v1/feedback", json={"events": [click(answer)]})
        assert refused.status_code == 503
        assert "INTERESTS_EVENTS_KEPT" in refused.json()["detail"]
    with redis_server.client() as client:
        assert client.keys("events:*") == []


# --- feedback -----------------------------------------------------------------------------------


def test_feedback_lies_beside_its_exposure_and_is_taken_once(
    gateway: Gateway, redis_server: RedisServer
) -> None:
    answer = gateway.interests("maya")
    events = [click(answer), click(answer, "e2", kind="dwell", dwell_ms=1_500)]
    assert send(gateway, *events, events[0]) == {"stored": 2, "repeated": 1, "refused": []}
    assert send(gateway, *events) == {"stored": 0, "repeated": 2, "refused": []}
    wait(lambda: bool(entries(redis_server, "x")), "the exposure")
    [exposed] = entries(redis_server, "x")
    stored = entries(redis_server, "f")
    assert {one["partition"] for one in stored} == {exposed["partition"]}
    assert {one["id"] for one in stored} == {exposed["id"]}
    assert [(one["kind"], one["dwell_ms"]) for one in stored] == [("click", None), ("dwell", 1_500)]
    assert gateway.metric("interests_feedback_total", outcome="repeated") == 3


def test_a_forged_request_id_is_refused_whoever_forged_it(
    gateway: Gateway, redis_server: RedisServer
) -> None:
    answer = gateway.interests("maya")
    forged = Identity(b"a guess").request_id("maya")
    body = send(
        gateway,
        click(answer, request_id=forged),
        click(answer, user_id="jonas"),
        click(answer, request_id=answer["request_id"][:-4] + "AAAA"),
        click(answer),
    )
    assert body["stored"] == 1
    assert [(one["index"], one["field"]) for one in body["refused"]] == [
        (number, "request_id") for number in range(3)
    ]
    assert len(entries(redis_server, "f")) == 1


def test_feedback_sent_again_to_another_gateway_after_a_kill_is_stored_once(
    start: Start, redis_server: RedisServer
) -> None:
    """All of it is sent again, whether the killed gateway had said that it was stored or not."""
    sent: list[dict[str, Any]] = []
    with start() as killed:
        killed.wait_for("index")
        answer = killed.interests("maya")

        def flood() -> None:
            with httpx.Client(base_url=killed.url, timeout=10) as client:
                for number in range(1_000_000):
                    lot = [click(answer, f"{number}/{place}") for place in range(20)]
                    sent.extend(lot)
                    try:
                        client.post("/v1/feedback", json={"events": lot}).raise_for_status()
                    except httpx.HTTPError:
                        return

        thread = threading.Thread(target=flood)
        thread.start()
        wait(lambda: len(entries(redis_server, "f")) >= 100, "some feedback")
        killed.process.kill()
        killed.process.wait()
        thread.join()
    before = len(entries(redis_server, "f"))
    with start() as other:
        again = Counter[str]()
        for first in range(0, len(sent), 500):
            body = send(other, *sent[first : first + 500])
            again.update(stored=body["stored"], repeated=body["repeated"])
    stored = [one["event"] for one in entries(redis_server, "f")]
    assert sorted(stored) == sorted(one["event_id"] for one in sent)
    assert again["repeated"] == before


# --- deletion -----------------------------------------------------------------------------------


def test_a_deleted_user_leaves_the_streams_and_cannot_be_spoken_of(
    gateway: Gateway, redis_server: RedisServer
) -> None:
    mine, other = gateway.interests("maya {x}"), gateway.interests("jonas")
    send(gateway, click(mine), click(other))
    wait(lambda: len(entries(redis_server, "x")) == 2, "both exposures")
    assert gateway.client.delete("/v1/users/maya%20%7Bx%7D").status_code == 204
    assert {one["user"] for one in entries(redis_server, "x", "f")} == {"jonas"}
    assert len(entries(redis_server, "x", "f")) == 2
    body = send(gateway, click(mine, "late"), click(mine), click(other, "late"))
    assert (body["stored"], body["repeated"]) == (1, 1)  # that it was sent before is all it tells
    assert [(one["index"], one["field"]) for one in body["refused"]] == [(0, "user_id")]
    assert gateway.client.delete("/v1/users/maya%20%7Bx%7D").status_code == 204
    time.sleep(1.1)  # a request id tells whole seconds
    back = gateway.interests("maya {x}")
    assert send(gateway, click(back))["stored"] == 1
    wait(lambda: len(entries(redis_server, "x")) == 2, "the exposure of the user who returned")


# --- the streams themselves ---------------------------------------------------------------------


def at(url: str) -> tuple[Events, Calls]:
    calls = Calls(connect(url, pool=4), at_once=4, failure=EventsUnavailable)
    return Events(calls, LIMITS), calls


async def test_what_was_read_before_a_deletion_is_not_written_after_it(
    redis_server: RedisServer,
) -> None:
    events, calls = at(redis_server.url)
    counts = Counter[Kind]()
    identity = Identity()

    def wrote(kind: Kind, count: int) -> None:
        counts[kind] += count

    writer = EventWriter(calls, LIMITS, identity, wrote=wrote, dropped=wrote)
    writer.start()
    read_ms = int(time.time() * 1000) - 5
    await events.erase("maya", soon())
    later_ms = int(time.time() * 1000) + 5
    writer.put(Kind.SHADOW, "maya", b'{"n":1}', read_ms)
    writer.put(Kind.SHADOW, "jonas", b'{"n":2}', read_ms)
    writer.put(Kind.SHADOW, "maya", b'{"n":3}', later_ms)
    await writer.stop()
    assert [one["n"] for one in entries(redis_server, "s")] == [2, 3]


async def test_events_go_after_their_time_also_from_a_stream_that_nobody_writes_to(
    redis_server: RedisServer,
) -> None:
    events, _ = at(redis_server.url)
    with redis_server.client() as client:
        for partition in range(PARTITIONS):
            old = int(time.time() * 1000) - 61_000
            client.xadd(stream_key(partition), {"k": "x", "d": "{}"}, id=f"{old}-0")
            client.xadd(stream_key(partition), {"k": "x", "d": "{}"})
        await events.trim(soon())
        assert [client.xlen(stream_key(p)) for p in range(PARTITIONS)] == [1] * PARTITIONS


async def test_a_batch_that_is_written_again_is_not_there_twice(redis_server: RedisServer) -> None:
    """As where the answer of Redis was lost: the same number, and nothing is added."""
    _, calls = at(redis_server.url)
    keys = [stream_key(1), batch_key(1, 5), *user_keys(1, "maya")]
    at_ms = int(time.time() * 1000)

    async def add(number: int) -> int:
        batch = [100, 60, number, "s", '{"n":1}', at_ms, 3]
        added: int = await calls.run(ADD, keys, batch, soon())
        return added

    assert [await add(number) for number in (1, 1, 2, 1, 2, 3)] == [1, 0, 1, 0, 0, 1]
    assert len(entries(redis_server, "s")) == 3


async def test_a_stream_keeps_about_as_many_as_it_is_told(redis_server: RedisServer) -> None:
    events, _ = at(redis_server.url)
    for first in range(0, 1_000, 200):
        lot = [taken(number) for number in range(first, first + 200)]
        assert await events.take(lot, soon()) == [Outcome.STORED] * 200
    with redis_server.client() as client:
        assert LIMITS.kept <= client.xlen(stream_key(1)) <= 2 * LIMITS.kept
        for number in range(3):
            assert client.llen(user_keys(1, f"user {number}")[0]) <= LIMITS.kept


async def test_all_keys_expire(redis_server: RedisServer) -> None:
    events, calls = at(redis_server.url)
    writer = EventWriter(calls, LIMITS, Identity(), wrote=lambda *_: None, dropped=lambda *_: None)
    writer.start()
    writer.put(Kind.SHADOW, "maya", b"{}")
    await writer.stop()
    await events.take([taken(1)], soon())
    await events.erase("jonas", soon())
    with redis_server.client() as client:
        keys = client.keys()
        assert len({key.partition(b":")[0] for key in keys}) == 5
        assert all(0 < client.ttl(key) <= 60 for key in keys)


def taken(number: int, process: int = 1) -> Taken:
    now_s = int(time.time())
    event = Feedback(f"e{number}", "r", f"user {number % 3}", "click", "a", now_s * 1000)
    return Taken(event, RequestName(now_s, process, number))


async def test_events_live_in_a_cluster_too(redis_cluster: RedisClusterParts) -> None:
    events, calls = at(redis_cluster.url)
    await events.check(soon())
    feedback = [taken(number, process=number) for number in range(12)]
    assert await events.take(feedback, soon()) == [Outcome.STORED] * 12
    assert await events.take(feedback[::-1], soon()) == [Outcome.REPEATED] * 12
    identity = Identity()
    written = Counter[Kind]()

    def wrote(kind: Kind, count: int) -> None:
        written[kind] += count

    writer = EventWriter(calls, LIMITS, identity, wrote=wrote, dropped=wrote)
    writer.start()
    writer.put(Kind.SHADOW, "user 1", b"{}")
    await writer.stop()
    assert written == {Kind.SHADOW: 1, Kind.END: 1}
    assert await events.erase("user 1", soon()) == 5
    assert await events.erase("user 1", soon()) == 0
    await events.trim(soon())
    seen = [await calls.command(soon(), stream_key(p), "XLEN", stream_key(p)) for p in range(4)]
    assert sum(seen) == 9
    for one in feedback:
        for key in (
            stream_key(one.request.process % 4),
            seen_key(one.request.process % 4, one.request.at_s),
        ):
            await calls.command(soon(), key, "DEL", key)
    await calls.client.aclose()
