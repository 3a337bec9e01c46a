"""Bad input, bad files and bad neighbours, at the door of a real gateway process."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from service.manifest import load_manifest
from tests.parts.gateway import Gateway, free_port, running_gateway
from tests.parts.redis import RedisServer
from tests.parts.simulator import simulator

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def settings(redis: RedisServer, built_student: Path) -> dict[str, str]:
    return {
        "REDIS_URL": redis.url,
        "STUDENTS__MAIN__MANIFEST": str(built_student / "student.yaml"),
        "BODY_TIMEOUT_S": "1",
        "MAX_IN_FLIGHT": "32",
    }


@pytest.fixture(scope="module")
def gateway(demo_index: Path, settings: dict[str, str]) -> Iterator[Gateway]:
    with running_gateway(demo_index, settings) as running:
        running.wait_for("index")
        yield running


def event(text: str, ago_s: float = 60, **more: Any) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(seconds=ago_s)
    return {"at": at.isoformat(), "domain": "search", "text": text, **more}


def raw(gateway: Gateway, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """Send bytes as they are, with a pause before each further piece; what came back."""
    port = int(gateway.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(pieces[0])
        for piece in pieces[1:]:
            time.sleep(pause_s)
            connection.sendall(piece)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
            head, _, body = answer.partition(b"\r\n\r\n")
            length = [x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:")]
            if length and len(body) >= int(length[0].split(b":")[1]):
                break
        return answer


def post(body: bytes, *headers: bytes, length: int | None = None) -> bytes:
    lines = [
        b"POST /v1/interests HTTP/1.1",
        b"host: gateway",
        b"content-type: application/json",
        b"content-length: %d" % (len(body) if length is None else length),
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_a_body_that_does_not_come_is_408_and_frees_its_place(gateway: Gateway) -> None:
    answer = raw(gateway, post(b"{", length=100))
    assert answer.startswith(b"HTTP/1.1 408")
    gateway.wait_in_flight(0)


def test_a_deadline_that_passed_while_the_body_came_is_answered_at_once(gateway: Gateway) -> None:
    body = json.dumps(
        {"user_id": "late", "timeout_ms": 100, "signals": [event("electric ferry")]}
    ).encode()
    started = time.monotonic()
    answer = raw(gateway, post(body[:10], length=len(body)), body[10:], pause_s=0.4)
    took = time.monotonic() - started
    head, _, said = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert took < 2
    found = json.loads(said)
    assert found["source"]["candidates"] == "popular"
    assert {"signals_unavailable", "retrieval_timeout"} <= set(found["degraded"])
    assert found["timings_ms"]["total"] >= 400


def test_an_oversized_body_ends_its_connection_and_no_other(gateway: Gateway) -> None:
    refused = raw(gateway, post(b"", length=5_000_000))
    assert refused.startswith(b"HTTP/1.1 413")
    assert gateway.interests("next")["candidates"]


@pytest.mark.parametrize(
    "user", ["a{b}c", "100%", "%2F%7B", "a/b//c", "with space", "🦊👩‍🚀", "é" * 128, "..", "'\";--"]
)
def test_odd_user_ids_are_stored_found_and_forgotten(gateway: Gateway, user: str) -> None:
    body = {"user_id": user, "signals": [event("electric ferry battery trial")]}
    stored = gateway.client.post("/v1/signals", json=body)
    assert stored.json() == {"stored": 1, "repeated": 0, "dropped": 0}
    assert gateway.interests(user)["source"]["candidates"] == "search"
    # A bare ".." would be resolved away by clients: every byte is percent-encoded.
    path = "".join(f"%{byte:02X}" for byte in user.encode())
    gone = gateway.client.delete(f"/v1/users/{path}")
    assert gone.status_code == 204
    assert gateway.interests(user)["degraded"] == ["no_signals"]


def test_enormous_signals_are_served(gateway: Gateway) -> None:
    texts = ["zalgo " + "ä̸̛͙" * 660, "W" * 2_000, "a b " * 500, "<|im_end|>" * 200, "́" * 2_000]
    signals = [event(texts[n % 5][:2_000], 60 + n, id=f"e{n}") for n in range(200)]
    answer = gateway.interests("enormous", signals=signals, timeout_ms=5_000)
    assert answer["candidates"]


def test_entries_that_others_spoilt_are_passed_over(gateway: Gateway, redis: RedisServer) -> None:
    now = int(time.time() * 1000)
    good = b'e1 {"d":"search","t":"electric ferry battery trial"}'
    with redis.client() as client:
        client.zadd("sig:{spoilt}", {good: now, b"\xff\xfe": now, b"no payload": now, b"": now})
        client.hset("int:{spoilt}", mapping={"x": b"not a list", b"\xff": b"{}"})
        client.set("sig:{wrongtype}", "a string")
    answer = gateway.interests("spoilt")
    assert answer["source"]["candidates"] == "search"
    assert "signals_corrupt" in answer["degraded"]
    wrong = gateway.interests("wrongtype")
    assert wrong["source"]["candidates"] == "popular"
    assert set(wrong["degraded"]) & {"signals_corrupt", "signals_unavailable"}


def test_ten_thousand_stored_signals_cost_the_newest_two_hundred(
    gateway: Gateway, redis: RedisServer
) -> None:
    now = int(time.time() * 1000)
    with redis.client() as client:
        for start in range(0, 10_000, 1_000):
            entries = {
                f'e{n} {{"d":"search","t":"old topic {n}"}}': now - 10_000_000 + n
                for n in range(start, start + 1_000)
            }
            client.zadd("sig:{hoarder}", entries)
        client.zadd("sig:{hoarder}", {'new {"d":"search","t":"electric ferry trial"}': now})
    answer = gateway.interests("hoarder", explain=True)
    assert answer["source"]["candidates"] == "search"
    assert answer["signals"][-1]["text"] == "electric ferry trial"


def test_events_that_another_clock_put_into_the_future_are_not_used(
    gateway: Gateway, redis: RedisServer
) -> None:
    now = int(time.time() * 1000)
    with redis.client() as client:
        entries = {
            'e1 {"d":"search","t":"electric ferry trial"}': now,
            'e2 {"d":"search","t":"slightly ahead"}': now + 60_000,
            'e3 {"d":"search","t":"from next year"}': now + 365 * 86_400_000,
        }
        client.zadd("sig:{skewed}", entries)
    answer = gateway.interests("skewed", explain=True)
    shown = [shown_signal["text"] for shown_signal in answer["signals"]]
    assert shown == ["electric ferry trial", "slightly ahead"]
    assert not any(query["text"] == "from next year" for query in answer["queries"])


def test_more_than_it_can_hold_is_refused_and_the_rest_is_served(
    demo_index: Path, settings: dict[str, str], built_student: Path
) -> None:
    model = load_manifest(built_student / "student.yaml").key
    with simulator("--model", model, "--step-ms", "15") as engine:
        slow = {**settings, "STUDENTS__MAIN__ENGINES": json.dumps([engine.url])}
        with running_gateway(demo_index, slow) as busy:
            busy.wait_for("student")

            def one(number: int) -> int:
                body = {"user_id": f"u{number}", "signals": [event(f"topic number {number}")]}
                answer = client.post("/v1/interests", json=body)
                if answer.status_code == 429:
                    assert int(answer.headers["retry-after"]) >= 1
                return answer.status_code

            limits = httpx.Limits(max_connections=100)
            with (
                httpx.Client(base_url=busy.url, limits=limits, timeout=30) as client,
                ThreadPoolExecutor(100) as pool,
            ):
                statuses = list(pool.map(one, range(200)))
            assert set(statuses) == {200, 429}
            busy.wait_in_flight(0)


def test_an_engine_that_serves_another_model_is_never_used_and_said_so(
    demo_index: Path, settings: dict[str, str]
) -> None:
    with simulator("--model", "somebody-else") as engine:
        wrong = {**settings, "STUDENTS__MAIN__ENGINES": json.dumps([engine.url])}
        with running_gateway(demo_index, wrong) as gateway:
            answer = gateway.interests("u", signals=[event("electric ferry")])
            assert answer["source"]["queries"] == "heuristic"
            until = time.monotonic() + 20
            while "somebody-else" not in (said := gateway.checks()["student"]):
                assert time.monotonic() < until, said
                time.sleep(0.05)
            (student,) = gateway.client.get("/v1/students").json()["students"]
            assert student["engines"][0]["state"] != "up"
            assert gateway.client.get("/readyz").status_code == 503


def test_an_index_whose_files_are_cut_off_under_it_is_searched_on_and_refused_by_the_next_process(
    demo_index: Path, settings: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(demo_index, folder, symlinks=True)
    ferry = {"signals": [event("electric ferry battery trial")]}
    with running_gateway(folder, settings) as gateway:
        gateway.wait_for("index")
        parts = [path for path in folder.glob("index/*/current/*") if path.suffix != ".json"]
        assert len(parts) >= 6
        for path in parts:
            with path.open("r+b") as file:
                file.truncate(path.stat().st_size // 2)
        answer = gateway.interests("u", **ferry)
        assert answer["source"]["candidates"] == "search"
        assert gateway.checks()["index"] == "ok"
    with running_gateway(folder, settings) as gateway:
        gateway.wait_for("index", "wrong")
        assert "is cut off or altered; load the articles again" in gateway.checks()["index"]
        assert gateway.client.get("/readyz").status_code == 503
        answer = gateway.interests("u", **ferry)
        assert answer["source"]["candidates"] == "popular"
        assert "retrieval_unavailable" in answer["degraded"]


def serve(folder: Path, **settings: str) -> tuple[int, str]:
    """Run `interests serve` where it cannot: its exit status and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "service", "serve"],
        env={"PATH": "/usr/bin:/bin", "INTERESTS_DATA_DIR": str(folder)}
        | {f"INTERESTS_{name}": value for name, value in settings.items()},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr.strip()


def test_a_student_whose_template_was_changed_is_refused_in_one_line(
    built_student: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "student"
    folder.mkdir()
    for name in ("student.yaml", "template.yaml", "tokenizer.json"):
        shutil.copy(built_student / name, folder)
    with (folder / "template.yaml").open("a") as template:
        template.write("# a friendly change\n")
    status, said = serve(tmp_path, STUDENTS__MAIN__MANIFEST=str(folder / "student.yaml"))
    assert status == 2
    assert said.startswith("error: ")
    assert "template.yaml: sha256" in said
    assert "\n" not in said


def test_a_port_in_use_and_a_missing_student_are_one_line_each(
    built_student: Path, tmp_path: Path
) -> None:
    manifest = str(built_student / "student.yaml")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        status, said = serve(tmp_path, STUDENTS__MAIN__MANIFEST=manifest, PORT=port)
    assert (status, said.count("\n")) == (2, 0)
    assert f"cannot listen on 127.0.0.1:{port}" in said
    status, said = serve(tmp_path, PORT=str(free_port()))
    assert (status, said.count("\n")) == (2, 0)
    assert "no student is configured" in said


def test_keys_decide_what_a_caller_may_do(demo_index: Path, settings: dict[str, str]) -> None:
    kept = {
        **settings,
        "KEYS__BACKEND__SECRET": "one-backend",
        "KEYS__BACKEND__RIGHTS": "interests",
        "KEYS__OPERATOR__SECRET": "two-operators",
        "KEYS__OPERATOR__RIGHTS": "interests,signals,delete,variant,metrics",
    }
    with running_gateway(demo_index, kept) as gateway:

        def status(key: str | None, method: str, path: str, body: Any = None) -> int:
            headers = {} if key is None else {"X-API-Key": key}
            return gateway.client.request(method, path, json=body, headers=headers).status_code

        ask = {"user_id": "u"}
        served = load_manifest(Path(settings["STUDENTS__MAIN__MANIFEST"])).key
        write = {"user_id": "u", "signals": [event("x y")]}
        user = "/v1/users/" + quote("u")
        assert status(None, "POST", "/v1/interests", ask) == 401
        assert status("wrong", "POST", "/v1/interests", ask) == 401
        assert status("one-backend", "POST", "/v1/interests", ask) == 200
        assert status("one-backend", "POST", "/v1/signals", write) == 403
        assert status("one-backend", "DELETE", user) == 403
        assert status("one-backend", "POST", "/v1/interests", {**ask, "variant": served}) == 403
        assert status("two-operators", "POST", "/v1/interests", {**ask, "variant": served}) == 200
        assert status("two-operators", "POST", "/v1/signals", write) == 200
        assert status("two-operators", "DELETE", user) == 204
        assert status(None, "GET", "/healthz") == 200
        assert status(None, "GET", "/metrics") == 401
        assert status("one-backend", "GET", "/metrics") == 403
        assert status("two-operators", "GET", "/metrics") == 200
        bearer = {"Authorization": "Bearer two-operators"}
        assert gateway.client.get("/metrics", headers=bearer).status_code == 200
        for page in ("/docs", "/openapi.json"):
            assert status(None, "GET", page) == 401
            assert status("one-backend", "GET", page) == 200


def test_clients_that_leave_in_the_middle_leave_no_request_and_no_connection_behind(
    gateway: Gateway,
) -> None:
    port = int(gateway.url.rpartition(":")[2])
    body = json.dumps({"user_id": "leaver", "signals": [event("electric ferry")]}).encode()
    descriptors = Path(f"/proc/{gateway.process.pid}/fd")

    def leave(count: int) -> None:
        for number in range(count):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                message = post(body)
                connection.sendall(message if number % 2 else message[: len(message) // 2])
        gateway.wait_in_flight(0)

    leave(100)
    before = len(list(descriptors.iterdir()))
    leave(400)
    until = time.monotonic() + 10
    while len(left := list(descriptors.iterdir())) > before + 5:
        assert time.monotonic() < until, f"{len(left)} files and connections are open, not {before}"
        time.sleep(0.05)
