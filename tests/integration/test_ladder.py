"""Each rung of the ladder, by taking the real part away: processes are killed or frozen.

The gateway is a real process over a real Redis, a real index and the session's real vLLM, which
the last test kills: these tests run after all others that use it. Times are asserted with room for
a busy machine: they tell a kept deadline from a lost one.
"""

from __future__ import annotations

import json
import signal as signals
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.signals.keys import user_keys
from tests.parts.gateway import Gateway, running_gateway
from tests.parts.redis import RedisServer
from tests.parts.vllm import Engine

pytestmark = [
    pytest.mark.redis,
    pytest.mark.vllm,
    pytest.mark.kills_vllm,
    pytest.mark.timeout(600),
]

PATIENT_MS = 30_000


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    server = RedisServer(durable=True).start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def engine(mortal_engine: Engine) -> Engine:
    return mortal_engine


@pytest.fixture(scope="module")
def gateway(redis: RedisServer, engine: Engine, demo_index: Path) -> Iterator[Gateway]:
    settings = {
        "REDIS_URL": redis.url,
        "STUDENTS__MAIN__MANIFEST": str(engine.manifest_path),
        "STUDENTS__MAIN__ENGINES": f'["{engine.url}"]',
        "STUDENTS__MAIN__WINDOW": "8",
    }
    with running_gateway(demo_index, settings) as running:
        running.wait_for("student", limit_s=120)
        yield running


def event(text: str, ago_s: float = 60, domain: str = "search") -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(seconds=ago_s)
    return {"at": at.isoformat(), "domain": domain, "text": text}


HISTORY = (
    "Harvest festival draws record crowd",
    "hiking boots for winter",
    "How volcanoes are watched from space",
    "Folding kayak for two",
    "Museum returns bronze to its island",
)
"""What everybody has seen before: with one or two signals an untrained model may write nothing."""


def session(*texts: str) -> list[dict[str, Any]]:
    return [event(text, 60 + 10 * number) for number, text in enumerate((*texts, *HISTORY))]


def store(gateway: Gateway, user: str, *texts: str) -> None:
    events = session(*texts)
    answer = gateway.client.post("/v1/signals", json={"user_id": user, "signals": events})
    assert answer.status_code == 200, answer.text


def wait_until(check: Callable[[], bool], limit_s: float, what: str) -> None:
    until = time.monotonic() + limit_s
    while not check():
        assert time.monotonic() < until, what
        time.sleep(0.05)


def state_of_engine(gateway: Gateway) -> str:
    """What `/v1/students` says of the one engine."""
    (student,) = gateway.client.get("/v1/students").json()["students"]
    state: str = student["engines"][0]["state"]
    return state


def wait_until_kept(redis: RedisServer, user: str) -> None:
    """A list is kept after its answer has left."""
    with redis.client() as client:
        wait_until(lambda: bool(client.hlen(user_keys(user).lists)), 30, "the list is not kept")


def test_a_list_is_written_fresh_and_then_reused(gateway: Gateway, redis: RedisServer) -> None:
    store(gateway, "ann", "olive oil shortage", "how to press olives at home")
    first = gateway.interests("ann", timeout_ms=PATIENT_MS)
    assert first["source"] == {"queries": "fresh", "candidates": "search"}
    assert first["degraded"] == []
    assert any(query["origin"] == "student" for query in first["queries"])
    assert first["candidates"]
    wait_until_kept(redis, "ann")
    again = gateway.interests("ann", timeout_ms=PATIENT_MS)
    assert again["source"]["queries"] == "reused"
    assert again["queries"] == first["queries"]
    assert again["timings_ms"]["generate"] < first["timings_ms"]["generate"]


def test_inline_signals_are_used_and_their_list_is_not_kept(gateway: Gateway) -> None:
    body = {"signals": session("grain harvest", "silo fire"), "timeout_ms": PATIENT_MS}
    first = gateway.interests("inline", **body)
    again = gateway.interests("inline", **body)
    assert (first["source"]["queries"], again["source"]["queries"]) == ("fresh", "fresh")


def test_an_unknown_user_gets_popular_articles(gateway: Gateway) -> None:
    answer = gateway.interests("nobody-knows-me", limit=20)
    assert answer["source"] == {"queries": "none", "candidates": "popular"}
    assert answer["degraded"] == ["no_signals"]
    assert len(answer["candidates"]) == 20


def test_too_short_a_deadline_is_met_from_a_lower_rung_and_the_late_list_is_found_next_time(
    gateway: Gateway,
) -> None:
    store(gateway, "hasty", "sourdough starter", "which flour for rye bread", "bakery opening")
    store(gateway, "hurried", "night train to the coast", "sleeper carriages", "railway strike")
    hasty, hurried = (gateway.interests(who, timeout_ms=300) for who in ("hasty", "hurried"))
    # The engine computes on every core meanwhile, so one of two may be a moment late.
    soonest, latest = sorted(answer["timings_ms"]["total"] for answer in (hasty, hurried))
    assert soonest < 450
    assert latest < 1_000
    assert hasty["source"]["queries"] in {"fresh", "heuristic"}
    assert set(hasty["degraded"]) & {"generation_timeout", "generation_partial"}
    assert hasty["candidates"]

    def kept() -> bool:
        return gateway.interests("hasty", timeout_ms=300)["source"]["queries"] == "reused"

    wait_until(kept, 40, "the late list was not kept")


def test_a_client_that_leaves_frees_its_slot_in_the_engine(
    gateway: Gateway, engine: Engine
) -> None:
    wait_until(lambda: engine.in_flight() == 0, 30, "busy engine")
    body = {
        "user_id": "leaver",
        "signals": session("night train", "sleeper carriages"),
        "timeout_ms": PATIENT_MS,
    }
    before = gateway.metric("interests_engine_calls_total", outcome="aborted")
    content = json.dumps(body).encode()
    head = f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    port = int(gateway.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /v1/interests HTTP/1.1\r\nhost: gateway\r\n" + head.encode())
        connection.sendall(content)
        wait_until(
            lambda: gateway.metric("interests_engine_calls_in_flight") == 1, 10, "never called"
        )
    wait_until(
        lambda: gateway.metric("interests_engine_calls_in_flight") == 0, 2, "the call goes on"
    )
    wait_until(lambda: engine.in_flight() == 0, 5, "the slot stays taken")
    assert gateway.metric("interests_engine_calls_total", outcome="aborted") == before + 1


def test_a_dead_redis_leaves_inline_signals_and_comes_back(
    gateway: Gateway, redis: RedisServer
) -> None:
    store(gateway, "bea", "tram strike", "tram timetable")
    redis.kill()
    alone = gateway.interests("bea", timeout_ms=PATIENT_MS)
    assert alone["degraded"] == ["signals_unavailable", "no_signals"]
    assert alone["source"] == {"queries": "none", "candidates": "popular"}
    inline = gateway.interests(
        "bea", signals=session("tram strike", "bus lanes"), timeout_ms=PATIENT_MS
    )
    assert inline["source"] == {"queries": "fresh", "candidates": "search"}
    assert inline["degraded"] == ["signals_unavailable"]
    refused = gateway.client.post(
        "/v1/signals", json={"user_id": "bea", "signals": [event("lost?")]}
    )
    assert refused.status_code == 503
    redis.start()
    gateway.wait_for("redis")
    back = gateway.interests("bea", timeout_ms=PATIENT_MS)
    assert back["degraded"] == []


def test_a_frozen_redis_costs_its_share_of_the_deadline_and_no_more(
    gateway: Gateway, redis: RedisServer
) -> None:
    redis.freeze()
    try:
        answer = gateway.interests("bea", timeout_ms=1000)
    finally:
        redis.thaw()
    assert "signals_unavailable" in answer["degraded"]
    assert answer["timings_ms"]["total"] < 1150
    gateway.wait_for("redis")


def test_a_frozen_engine_is_answered_for_ejected_and_readmitted(
    gateway: Gateway, engine: Engine
) -> None:
    store(gateway, "cem", "lithium mine", "battery recycling plant")

    def seen_at_work(number: int) -> None:
        body = {"signals": session(f"tunnel number {number}"), "timeout_ms": PATIENT_MS}
        assert gateway.interests(f"known {number}", **body)["source"]["queries"] == "fresh"

    # From twenty calls on the engine's silence is judged by its own pace, not by a long grace.
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(seen_at_work, range(20)))
    engine.kill(signals.SIGSTOP)
    try:
        answer = gateway.interests("cem", timeout_ms=1500)
        assert answer["source"] == {"queries": "heuristic", "candidates": "search"}
        assert answer["degraded"] == ["generation_timeout"]
        assert answer["timings_ms"]["total"] < 1650
        wait_until(lambda: state_of_engine(gateway) == "ejected", 60, "it is still in service")
    finally:
        engine.kill(signals.SIGCONT)
    gateway.wait_for("student", limit_s=60)
    assert state_of_engine(gateway) == "up"

    def fresh_again() -> bool:
        source = gateway.interests("cem", timeout_ms=PATIENT_MS)["source"]["queries"]
        return source in {"fresh", "reused"}

    wait_until(fresh_again, 90, "no fresh list after the engine went on")


def test_a_killed_engine_leaves_stale_lists_and_key_phrases(
    gateway: Gateway, engine: Engine, redis: RedisServer
) -> None:
    """The last test that uses the engine: it does not come back."""
    store(gateway, "dan", "harbour ferry")
    assert gateway.interests("dan", timeout_ms=PATIENT_MS)["source"]["queries"] == "fresh"
    wait_until_kept(redis, "dan")
    engine.kill()
    gateway.wait_for("student", "wrong")

    store(gateway, "dan", "ferry timetable in winter")
    stale = gateway.interests("dan")
    assert stale["source"] == {"queries": "stale", "candidates": "search"}
    assert stale["degraded"] == ["generation_unavailable"]

    store(gateway, "eva", "harbour ferry")
    heuristic = gateway.interests("eva")
    assert heuristic["source"] == {"queries": "heuristic", "candidates": "search"}
    assert heuristic["degraded"] == ["generation_unavailable"]
    assert gateway.client.get("/readyz").status_code == 200
    assert state_of_engine(gateway) == "ejected"
