"""What users and backends send: texts, bodies, values."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Callable
from typing import Any

import httpx

from loadtests.attack.stage import Stage, signal_now
from loadtests.attack.table import Seen, attack

_STALL_S = 1.0
"""Longer than this the event loop must not be busy with one caller; other work on the machine is
in it too."""
_DOTS = "a." * 990


def _signals(text: str, count: int) -> list[dict[str, Any]]:
    return [signal_now(text) for _ in range(count)]


def _user() -> str:
    return f"attack-{uuid.uuid4().hex[:8]}"


def _stall(stage: Stage, send: Callable[[], httpx.Response]) -> Seen:
    with stage.longest_stall() as worst:
        status = send().status_code
    held = status < 500 and worst[0] < _STALL_S
    return Seen(f"{status}, others waited {worst[0]:.2f} s", held)


@attack("texts", "200 signals of dots and letters in a request")
def _dots(stage: Stage) -> Seen:
    return _stall(stage, lambda: stage.post({"user_id": _user(), "signals": _signals(_DOTS, 200)}))


@attack("texts", "the same, stored before")
def _stored_dots(stage: Stage) -> Seen:
    user = _user()
    at = [f"2026-01-01T00:{n // 60:02}:{n % 60:02}Z" for n in range(200)]
    events = [{**signal, "at": when} for signal, when in zip(_signals(_DOTS, 200), at, strict=True)]
    for part in (events[:100], events[100:]):
        stage.post({"user_id": user, "signals": part}, "/v1/signals")
    return _stall(stage, lambda: stage.post({"user_id": user}))


@attack("texts", "200 long texts that are nearly alike")
def _alike(stage: Stage) -> Seen:
    signals = [signal_now(" ".join(f"word{i}" for i in range(n, n + 250))) for n in range(200)]
    return _stall(stage, lambda: stage.post({"user_id": _user(), "signals": signals}))


@attack("bodies", "95,000 unknown fields")
def _unknown_fields(stage: Stage) -> Seen:
    body = {"user_id": _user(), **{f"x{n}": 1 for n in range(95_000)}}
    return _stall(stage, lambda: stage.post(body))


@attack("bodies", "one bad entry in a batch of two")
def _bad_entry(stage: Stage) -> Seen:
    answer = stage.post({"requests": [{"user_id": _user()}, {"limit": -1}]}, "/v1/interests:batch")
    entries = answer.json().get("results", [])
    found = [entry["status"] for entry in entries]
    return Seen(f"{answer.status_code}, entries {found or 'none'}", found == [200, 422])


@attack("bodies", "a weight of 1e308")
def _huge_weight(stage: Stage) -> Seen:
    signals = [signal_now("coffee prices") | {"weight": 1e308}]
    answer = stage.post({"user_id": _user(), "signals": signals})
    nulls = [c for c in answer.json().get("candidates", []) if c.get("score") is None]
    return Seen(f"{answer.status_code}, {len(nulls)} scores null", not nulls)


@attack("bodies", "no content type; a trailing slash; a caller's request id; gzip")
def _contract(stage: Stage) -> Seen:
    url, body = f"{stage.gateway.url}/v1/interests", b'{"user_id": "attack"}'
    plain = httpx.post(url, content=body, timeout=30)
    slash = httpx.post(f"{url}/", content=body, headers={"host": "elsewhere.example"}, timeout=30)
    named = stage.post({"user_id": "attack"}, headers={"X-Request-Id": "mine-17"})
    packed = httpx.post(
        url, content=gzip.compress(body), headers={"content-encoding": "gzip"}, timeout=30
    )
    found: list[Any] = [
        plain.status_code,
        slash.status_code,
        named.headers.get("x-request-id"),
        packed.status_code,
    ]
    return Seen(", ".join(map(str, found)), found == [200, 404, "mine-17", 200])


@attack("users", "DELETE of bytes that are no UTF-8")
def _wrong_bytes(stage: Stage) -> Seen:
    status = httpx.delete(f"{stage.gateway.url}/v1/users/%E9", timeout=30).status_code
    return Seen(str(status), status == 422)
