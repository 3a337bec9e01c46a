"""What a connection may send and hold, before there is a request: against the real server."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.parts.gateway import Gateway, running_gateway

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, built_student: Path) -> Iterator[Gateway]:
    settings = {
        "STUDENTS__MAIN__MANIFEST": str(built_student / "student.yaml"),
        "HEAD_TIMEOUT_S": "1",
        "MAX_CONNECTIONS": "40",
        "MAX_IN_FLIGHT": "4",
        "BODY_TIMEOUT_S": "3",
    }
    with running_gateway(tmp_path_factory.mktemp("data"), settings) as running:
        yield running


def connected(gateway: Gateway) -> socket.socket:
    url = httpx.URL(gateway.url)
    return socket.create_connection((url.host, url.port or 80), timeout=10)


def rest_of(connection: socket.socket) -> bytes:
    """Everything until the server closes it."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65_536):
            found += data
    return found


def alive(gateway: Gateway) -> bool:
    return httpx.get(f"{gateway.url}/healthz", timeout=2).status_code == 200


def resident_mib(gateway: Gateway) -> float:
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.mark.parametrize(
    "start", [b"GET /healthz HTTP/1.1\r\nx-endless: ", b"GET /", b"GET /healthz HTTP/1.1\r\n"]
)
def test_a_head_without_an_end_is_refused_and_costs_no_memory(
    gateway: Gateway, start: bytes
) -> None:
    before = resident_mib(gateway)
    with connected(gateway) as connection:
        connection.sendall(start)
        with contextlib.suppress(ConnectionError):
            more = b"a: b\r\n" * 10_000 if start.endswith(b"\r\n") else b"a" * 65_536
            for _ in range(1_600):  # 100 MB
                connection.sendall(more)
        with contextlib.suppress(ConnectionError):
            said = rest_of(connection)
            assert said == b"" or (said.startswith(b"HTTP/1.1 431 ") and b":head-too-large" in said)
    assert alive(gateway)
    assert resident_mib(gateway) < before + 40


def test_what_is_no_http_is_a_problem(gateway: Gateway) -> None:
    with connected(gateway) as connection:
        connection.sendall(b"hello?\r\n\r\n")
        said = rest_of(connection)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in said
    assert re.search(rb"\r\nx-request-id: [0-9a-f]{32}\r\n", said)


@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nhost: a"])
def test_a_connection_that_does_not_say_what_it_wants_is_closed(
    gateway: Gateway, said: bytes
) -> None:
    with connected(gateway) as connection:
        connection.sendall(said)
        assert rest_of(connection) == b""


def test_the_longest_idle_connection_makes_room_for_a_new_one(gateway: Gateway) -> None:
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connected(gateway)) for _ in range(60)]
        assert alive(gateway)
        assert rest_of(idle[0]) == b"", "the first is closed"


def test_a_kept_connection_serves_one_request_after_the_other(gateway: Gateway) -> None:
    with connected(gateway) as connection:
        for _ in range(3):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
            said = b""
            while b"}" not in said:
                said += connection.recv(65_536)
            assert said.startswith(b"HTTP/1.1 200 ")


def test_a_head_is_answered_without_a_body_and_keeps_the_connection(gateway: Gateway) -> None:
    def head_of(path: str) -> bytes:
        return b"HEAD %b HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n" % path.encode()

    paths = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/nowhere")
    with connected(gateway) as connection:
        for path in paths:
            connection.sendall(head_of(path) + b"\r\n")
        connection.sendall(head_of("/") + b"connection: close\r\n\r\n")
        answers = rest_of(connection)
    lines = answers.split(b"\r\n")
    statuses = [line.split(b" ")[1] for line in lines if line.startswith(b"HTTP/1.1 ")]
    assert statuses == [b"200", b"503", b"200", b"200", b"404", b"200"]
    assert all(b": " in line or line.startswith(b"HTTP/1.1 ") or not line for line in lines)
    lengths = [int(x.split(b":")[1]) for x in lines if x.startswith(b"content-length:")]
    assert len(lengths) == len(paths) + 1
    assert min(lengths) > 0


def test_slow_bodies_hold_no_place(gateway: Gateway) -> None:
    head = b"POST /v1/signals HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{"
    with contextlib.ExitStack() as stack:
        for _ in range(8):  # twice as many as there are places
            stack.enter_context(connected(gateway)).sendall(head)
        answer = httpx.get(f"{gateway.url}/v1/students", timeout=5)
    assert answer.status_code == 200
