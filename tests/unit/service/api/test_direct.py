"""A body is answered alike on the short way and on the framework's."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from service.api.direct import Direct
from tests.unit.service.api.fakes import FakeGateway, client_of

BODIES: list[tuple[str, Any]] = [
    ("/v1/interests", {"user_id": "maya", "limit": 3}),
    ("/v1/interests", {"user_id": "maya", "limit": 0}),
    ("/v1/interests", {"user_id": "maya", "variant": "nobody@1"}),
    ("/v1/interests", {"user_id": "maya", "more": 1}),
    ("/v1/interests", []),
    ("/v1/interests:batch", {"requests": [{"user_id": "maya"}, {"user_id": ""}]}),
    ("/v1/signals", {"user_id": "maya", "signals": []}),
    ("/v1/feedback", {"events": [{"kind": "click"}]}),
]


@pytest.fixture
def gateway(tmp_path: Path) -> FakeGateway:
    return FakeGateway(tmp_path)


@pytest.fixture
def framework(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of requests that went on to the framework."""
    seen: list[str] = []
    build = Direct.__init__

    def watched(self: Direct, app: Any, *args: Any, **named: Any) -> None:
        async def noting(scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["path"])
            await app(scope, receive, send)

        build(self, noting, *args, **named)

    monkeypatch.setattr(Direct, "__init__", watched)
    return seen


def told(response: httpx.Response) -> tuple[int, Any]:
    """What an answer says, but for what differs from one to the next."""
    body = orjson.loads(response.content)
    answers = [one.get("result", {}) for one in body.get("results", [])] or [body]
    for answer in answers:
        answer.pop("request_id", None)
        answer.pop("timings_ms", None)
    return response.status_code, body


@pytest.mark.parametrize(("path", "body"), BODIES)
async def test_both_ways_answer_alike(
    gateway: FakeGateway, framework: list[str], path: str, body: Any
) -> None:
    content = orjson.dumps(body)
    async with client_of(gateway.app()) as client:
        short, long = [
            await client.post(path, content=content, headers={"content-type": kind})
            for kind in ("application/json", "application/json; charset=utf-8")
        ]
    assert told(short) == told(long)
    assert framework[-1] == path, "the second went the framework's way"


async def test_a_body_that_is_right_goes_the_short_way(
    gateway: FakeGateway, framework: list[str]
) -> None:
    async with client_of(gateway.app()) as client:
        answer = await client.post("/v1/interests", json={"user_id": "maya"})
    assert answer.status_code == 200
    assert framework == []


@pytest.mark.parametrize("content", [b"", b"{", b'{"user_id": NaN}', b'{"user_id": "\xff"}'])
async def test_what_cannot_be_read_is_a_problem_on_either_way(
    gateway: FakeGateway, content: bytes
) -> None:
    async with client_of(gateway.app()) as client:
        answer = await client.post(
            "/v1/interests", content=content, headers={"content-type": "application/json"}
        )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_in_gzip_goes_the_frameworks_way(
    gateway: FakeGateway, framework: list[str]
) -> None:
    content = gzip.compress(orjson.dumps({"user_id": "maya"}))
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    async with client_of(gateway.app()) as client:
        answer = await client.post("/v1/interests", content=content, headers=headers)
    assert answer.status_code == 200
    assert framework == ["/v1/interests"]
