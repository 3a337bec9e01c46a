"""SIGTERM: unready at once, still accepting for a while, nothing in work is lost, a clean exit."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.manifest import load_manifest
from tests.parts.gateway import Gateway, free_port, running_gateway
from tests.parts.redis import RedisServer
from tests.parts.simulator import simulator

pytestmark = [pytest.mark.redis, pytest.mark.timeout(120)]


@pytest.fixture
def gateway(
    request: pytest.FixtureRequest, demo_index: Path, built_student: Path
) -> Iterator[Gateway]:
    """A gateway that accepts requests for as many seconds after SIGTERM as the test says."""
    model = load_manifest(built_student / "student.yaml").key
    redis = RedisServer().start()
    try:
        with simulator("--model", model, "--step-ms", "20") as engine:
            settings = {
                "REDIS_URL": redis.url,
                "STUDENTS__MAIN__MANIFEST": str(built_student / "student.yaml"),
                "STUDENTS__MAIN__ENGINES": json.dumps([engine.url]),
                "DRAIN_DELAY_S": str(request.param),
            }
            with running_gateway(demo_index, settings) as running:
                running.wait_for("student")
                running.wait_for("index")
                yield running
    finally:
        redis.close()


def ask(gateway: Gateway, user: str) -> httpx.Response:
    signals = [
        {"at": datetime.now(UTC).isoformat(), "domain": "search", "text": f"ferry of {user}"}
    ]
    body: dict[str, Any] = {"user_id": user, "signals": signals}
    return httpx.post(f"{gateway.url}/v1/interests", json=body, timeout=30)


def terminate(gateway: Gateway) -> None:
    """Send SIGTERM and wait until it has been heard."""
    gateway.process.send_signal(signal.SIGTERM)
    until = time.monotonic() + 10
    while not (ready := gateway.client.get("/readyz")).json()["draining"]:
        assert time.monotonic() < until, "SIGTERM changed nothing"
        time.sleep(0.01)
    assert ready.status_code == 503


@pytest.mark.parametrize("gateway", [2], indirect=True)
def test_a_drain_loses_no_request(gateway: Gateway) -> None:
    assert gateway.client.get("/readyz").status_code == 200
    with ThreadPoolExecutor(2) as pool:
        begun = pool.submit(ask, gateway, "before")
        gateway.wait_in_flight(1)
        terminate(gateway)
        during = pool.submit(ask, gateway, "during")
        for answer in (begun.result(), during.result()):
            assert answer.status_code == 200
            assert answer.json()["source"]["queries"] == "fresh"
    assert gateway.process.wait(20) == 0


@pytest.mark.parametrize("gateway", [60], indirect=True)
def test_a_second_signal_ends_it_before_its_time(gateway: Gateway) -> None:
    terminate(gateway)
    gateway.process.send_signal(signal.SIGTERM)
    gateway.process.wait(20)


def test_the_operations_port_drains_and_closes_with_the_main_one(
    tmp_path: Path, built_student: Path
) -> None:
    port = free_port()
    settings = {
        "STUDENTS__MAIN__MANIFEST": str(built_student / "student.yaml"),
        "OPERATIONS_PORT": str(port),
        "DRAIN_DELAY_S": "2",
    }
    with running_gateway(tmp_path, settings) as gateway:
        operations = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{operations}/metrics").status_code == 200
        assert gateway.client.get("/metrics").status_code == 404
        terminate(gateway)
        assert httpx.get(f"{operations}/readyz").json()["draining"]
        assert gateway.process.wait(20) == 0
        assert not accepts(port)


@contextmanager
def starting(
    folder: Path, student: Path, port: int, **more: str
) -> Iterator[subprocess.Popen[str]]:
    """A gateway process that has only just been begun."""
    environment = {
        **os.environ,
        **more,
        "INTERESTS_PORT": str(port),
        "INTERESTS_DATA_DIR": str(folder),
        "INTERESTS_DRAIN_DELAY_S": "0",
        "INTERESTS_STUDENTS__MAIN__MANIFEST": str(student / "student.yaml"),
    }
    command = [sys.executable, "-m", "service", "serve"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def accepts(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ends_well(process: subprocess.Popen[str]) -> None:
    """Terminate it: it drains, exits with 0 and has nothing to complain of."""
    process.terminate()
    assert process.wait(timeout=20) == 0
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("after_ms", [0, 5, 20, 60, 150])
def test_a_signal_soon_after_it_says_that_it_listens_ends_it_well(
    tmp_path: Path, built_student: Path, after_ms: int
) -> None:
    with starting(tmp_path, built_student, 0) as process:
        assert process.stderr is not None
        while "listening" not in (line := process.stderr.readline()):
            assert line, "it ended before it listened"
        time.sleep(after_ms / 1000)
        ends_well(process)


@pytest.mark.parametrize("turn", range(4))
def test_a_signal_at_the_moment_that_the_port_accepts_ends_it_well(
    tmp_path: Path, built_student: Path, turn: int
) -> None:
    port = free_port()
    with starting(tmp_path, built_student, port) as process:
        while not accepts(port):
            assert process.poll() is None, f"it ended before it listened (start {turn})"
        ends_well(process)


def test_the_second_of_two_gateways_on_one_port_says_so_in_a_line(
    tmp_path: Path, built_student: Path
) -> None:
    port = free_port()
    with (
        starting(tmp_path, built_student, port) as one,
        starting(tmp_path, built_student, port) as other,
    ):
        while one.poll() is None and other.poll() is None:
            time.sleep(0.02)
        ended, left = (one, other) if one.poll() is not None else (other, one)
        assert ended.returncode == 2
        assert ended.stderr is not None
        said = ended.stderr.read()
        assert f"127.0.0.1:{port}: Address already in use; choose another INTERESTS_PORT" in said
        assert "Traceback" not in said
        assert left.poll() is None
        ends_well(left)


def test_an_operations_port_that_is_taken_is_named_in_a_line(
    tmp_path: Path, built_student: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with starting(tmp_path, built_student, 0, INTERESTS_OPERATIONS_PORT=str(port)) as process:
            assert process.wait(20) == 2
            assert process.stderr is not None
            said = process.stderr.read()
    assert f"127.0.0.1:{port}: Address already in use" in said
    assert "choose another INTERESTS_OPERATIONS_PORT" in said
    assert "Traceback" not in said
