"""`interests ask` and `interests doctor` against a real gateway, and against nothing."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.manifest import load_manifest
from tests.parts.command import interests_here
from tests.parts.gateway import Gateway, free_port, running_gateway
from tests.parts.redis import RedisServer
from tests.parts.require import missing_part
from tests.parts.simulator import simulator

pytestmark = [pytest.mark.redis, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def settings(built_student: Path) -> Iterator[dict[str, str]]:
    redis = RedisServer().start()
    yield {
        "REDIS_URL": redis.url,
        "STUDENTS__MAIN__MANIFEST": str(built_student / "student.yaml"),
    }
    redis.close()


@pytest.fixture(scope="module")
def gateway(demo_index: Path, settings: dict[str, str]) -> Iterator[Gateway]:
    with running_gateway(demo_index, settings) as running:
        running.wait_for("index")
        yield running


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    given = {f"INTERESTS_{name}": value for name, value in settings.items()}
    env = {"COLUMNS": "160", "INTERESTS_DATA_DIR": str(folder), **given}
    return interests_here(*arguments, env=env)


def test_ask_shows_an_answer_readably_or_as_json(gateway: Gateway, tmp_path: Path) -> None:
    now = datetime.now(UTC).isoformat()
    event = {"at": now, "domain": "search", "text": "electric ferry trial"}
    stored = gateway.client.post("/v1/signals", json={"user_id": "u", "signals": [event]})
    assert stored.json() == {"stored": 1, "repeated": 0, "dropped": 0}
    readable = run(tmp_path, "ask", "u", "--url", gateway.url)
    assert readable.returncode == 0, readable.stderr
    for said in ("electric ferry trial", "heuristic", "Candidates", "Timings"):
        assert said in readable.stdout
    as_json = run(tmp_path, "ask", "u", "--url", gateway.url, "--json", "--limit", "3")
    assert len(json.loads(as_json.stdout)["candidates"]) == 3


def test_ask_says_what_was_wrong_in_one_line(gateway: Gateway, tmp_path: Path) -> None:
    refused = run(tmp_path, "ask", "u", "--url", gateway.url, "--limit", "9999")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: 422 Unprocessable")
    assert "limit" in refused.stderr
    nobody = run(tmp_path, "ask", "u", "--url", f"http://127.0.0.1:{free_port()}")
    assert nobody.returncode == 2
    assert "no gateway answers at" in nobody.stderr
    assert nobody.stderr.count("\n") == 1


def test_doctor_finds_each_part_and_says_what_to_do(
    gateway: Gateway, demo_index: Path, settings: dict[str, str], tmp_path: Path
) -> None:
    port = gateway.url.rpartition(":")[2]
    found = run(demo_index, "doctor", PORT=port, **settings)
    assert "answers, with the mapping we expect" in found.stdout
    assert "has no engine" in found.stdout
    assert "is ready" in found.stdout
    assert found.returncode == 1  # no engine: every list is the heuristic's
    nothing = run(tmp_path, "doctor", PORT=str(free_port()), REDIS_URL="redis://127.0.0.1:1/0")
    assert nothing.returncode == 1
    for remedy in ("start Redis", "interests index load", "interests students build"):
        assert remedy in nothing.stdout
    said = run(
        tmp_path, "doctor", "--json", PORT=str(free_port()), REDIS_URL="redis://127.0.0.1:1/0"
    )
    parts = {part["part"]: part for part in json.loads(said.stdout)}
    assert said.returncode == 1
    assert "start Redis" in parts["redis"]["remedy"]


def test_a_gateway_on_an_ipv6_address_is_found_by_ask_and_doctor(
    demo_index: Path, settings: dict[str, str], tmp_path: Path
) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            missing_part("IPv6 on the loopback", "enable it (sysctl net.ipv6.conf.lo.disable_ipv6)")
    with running_gateway(demo_index, settings, host="::1") as running:
        running.wait_for("index")
        here = {"HOST": "::1", "PORT": running.url.rpartition(":")[2]}
        found = run(demo_index, "doctor", **here, **settings)
        assert f"{running.url} is ready" in found.stdout
        answer = run(tmp_path, "ask", "u", "--json", **here)
        assert json.loads(answer.stdout)["candidates"], answer.stderr
        taken = run(demo_index, "serve", **here, **settings)
    assert taken.returncode == 2
    assert f"cannot listen on [::1]:{here['PORT']}" in taken.stderr
    nobody = run(tmp_path, "ask", "u", **here)
    assert (nobody.returncode, nobody.stderr.count("\n")) == (2, 1)


def test_an_engine_that_refuses_every_call_is_not_ok_for_doctor_nor_for_readyz(
    demo_index: Path, settings: dict[str, str]
) -> None:
    """A prompt of one token, which is the probe, it serves."""
    key = load_manifest(Path(settings["STUDENTS__MAIN__MANIFEST"])).key
    with simulator("--model", key) as engine:
        served = {**settings, "STUDENTS__MAIN__ENGINES": engine.url}
        found = run(demo_index, "doctor", PORT=str(free_port()), **served)
        assert f"serves {key}" in found.stdout
        assert "not a whole prompt" not in found.stdout
        with running_gateway(demo_index, served) as gateway:
            gateway.wait_for("student")
            engine.set(refuse=400)
            for number in range(4):
                at = datetime.now(UTC).isoformat()
                event = {"at": at, "domain": "search", "text": f"electric ferry {number}"}
                answer = gateway.interests(f"u{number}", signals=[event])
                assert answer["degraded"] == ["generation_unavailable"]
            gateway.wait_for("student", "wrong")
            assert "refuses calls: answered 400" in gateway.checks()["student"]
            assert gateway.metric("interests_engine_up") == 0
            port = gateway.url.rpartition(":")[2]
            found = run(demo_index, "doctor", PORT=port, **served)
        assert "not a whole prompt of it: answered 400" in found.stdout
        assert "ready, on lower rungs: redis" not in found.stdout
        assert "ready, on lower rungs: student" in found.stdout
