"""What arrives at the socket before there is a request."""

from __future__ import annotations

import contextlib
import socket
import time

import httpx

from loadtests.attack.stage import Stage
from loadtests.attack.table import Seen, attack
from loadtests.local_gateway import HOST

_MEMORY_MB = 60.0
_STALL_S = 1.0
_PIECE = b"a" * 65_536
_IDLE = 1_500


def _connect(stage: Stage) -> socket.socket:
    return socket.create_connection((HOST, stage.gateway.port), timeout=20)


def _endless(stage: Stage, start: bytes) -> Seen:
    memory, sent = stage.gateway.rss_mb(), 0
    with (
        stage.longest_stall() as worst,
        _connect(stage) as connection,
        contextlib.suppress(OSError),
    ):
        connection.sendall(start)
        for _ in range(1_600):  # 100 MB
            connection.sendall(_PIECE)
            sent += len(_PIECE)
    grown = stage.gateway.rss_mb() - memory
    held = grown < _MEMORY_MB and worst[0] < _STALL_S
    return Seen(f"{sent / 1e6:.0f} MB taken, +{grown:.0f} MB, {worst[0]:.2f} s wait", held)


@attack("sockets", "a header without an end")
def _endless_header(stage: Stage) -> Seen:
    return _endless(stage, b"GET /healthz HTTP/1.1\r\nx: ")


@attack("sockets", "a path of 100 MB")
def _endless_path(stage: Stage) -> Seen:
    return _endless(stage, b"GET /")


@attack("sockets", f"{_IDLE:,} connections that say nothing")
def _idle(stage: Stage) -> Seen:
    open_ones: list[socket.socket] = []
    try:
        with contextlib.suppress(OSError):
            open_ones.extend(_connect(stage) for _ in range(_IDLE))
        began = time.perf_counter()
        try:
            status = str(httpx.get(f"{stage.gateway.url}/healthz", timeout=10).status_code)
        except httpx.HTTPError as error:
            status = type(error).__name__
        took = time.perf_counter() - began
    finally:
        for connection in open_ones:
            connection.close()
    return Seen(f"another caller: {status} in {took:.1f} s", status == "200")


@attack("sockets", "260 bodies that do not come")
def _slow_bodies(stage: Stage) -> Seen:
    head = b"POST /v1/interests HTTP/1.1\r\nhost: g\r\ncontent-length: 50\r\n\r\n{"
    senders = [_connect(stage) for _ in range(260)]
    try:
        for sender in senders:
            sender.sendall(head)
        time.sleep(0.5)
        status = stage.post({"user_id": "attack-beside"}).status_code
    finally:
        for sender in senders:
            sender.close()
    return Seen(f"another caller: {status}", status == 200)
