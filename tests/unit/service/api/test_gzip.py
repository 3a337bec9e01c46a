"""Answers are packed for those who ask, and packed bodies are read, up to a bound."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.exceptions import HTTPException

from service.api.bodies import unpack
from service.errors import InvalidInput
from tests.unit.service.api.fakes import FakeGateway, client_of
from tests.unit.service.api.test_gate import post_scope

BODY = b'{"user_id": "u", "signals": [{"domain": "search", "text": "solar ferry"}]}'
PACKED = {"content-type": "application/json", "content-encoding": "gzip"}
PLAIN = {"accept-encoding": "identity"}


@pytest.fixture
def gateway(tmp_path: Path) -> FakeGateway:
    return FakeGateway(tmp_path)


async def test_an_answer_is_packed_where_that_is_asked_for_and_only_there(
    gateway: FakeGateway,
) -> None:
    async with client_of(gateway.app()) as client:
        plain = await client.post("/v1/interests", content=BODY, headers=PLAIN)
        packed = await client.post(
            "/v1/interests", content=BODY, headers={"accept-encoding": "gzip"}
        )
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    varying = ("request_id", "timings_ms")
    first, second = ({**one.json(), **dict.fromkeys(varying)} for one in (plain, packed))
    assert first == second
    assert packed.headers["x-request-id"] == packed.json()["request_id"]


async def test_a_small_answer_is_not_packed(gateway: FakeGateway) -> None:
    async with client_of(gateway.app()) as client:
        answer = await client.get("/healthz", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("more", [{}, {"content-type": "text/plain"}])
async def test_a_packed_body_is_read(gateway: FakeGateway, more: dict[str, str]) -> None:
    async with client_of(gateway.app()) as client:
        answer = await client.post(
            "/v1/interests", content=gzip.compress(BODY), headers={**PACKED, **more}
        )
    assert answer.status_code == 200
    assert answer.json()["queries"][0]["text"] == "solar ferry"


async def test_a_body_that_unpacks_to_more_than_a_body_may_hold_is_413(
    gateway: FakeGateway,
) -> None:
    bomb = gzip.compress(b" " * 40_000_000)
    assert len(bomb) < gateway.max_body_bytes
    async with client_of(gateway.app()) as client:
        answer = await client.post("/v1/interests", content=bomb, headers=PACKED)
        fits = BODY + b" " * (gateway.max_body_bytes - len(BODY))
        full = await client.post("/v1/interests", content=gzip.compress(fits), headers=PACKED)
        over = await client.post(
            "/v1/interests", content=gzip.compress(fits + b" "), headers=PACKED
        )
    assert (answer.status_code, full.status_code, over.status_code) == (413, 200, 413)
    assert answer.json()["type"] == "urn:interests:problem:body-too-large"


def test_a_bomb_takes_no_more_memory_than_the_bound() -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(HTTPException):
            unpack(bomb, 65_536)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * 65_536 + len(bomb)


@pytest.mark.parametrize(
    "content",
    [
        BODY,
        b"",
        gzip.compress(BODY)[:-4],
        gzip.compress(BODY)[:-8] + b"\0" * 8,
        gzip.compress(BODY) + gzip.compress(b" "),
        gzip.compress(BODY) + b"more",
        zlib.compress(BODY),
    ],
)
async def test_what_is_not_one_whole_gzip_stream_is_422(
    gateway: FakeGateway, content: bytes
) -> None:
    with pytest.raises(InvalidInput):
        unpack(content, 65_536)
    async with client_of(gateway.app()) as client:
        answer = await client.post("/v1/interests", content=content, headers=PACKED)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body"


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
async def test_another_encoding_is_415_and_says_which_is_read(
    gateway: FakeGateway, encoding: str
) -> None:
    async with client_of(gateway.app()) as client:
        headers = {**PACKED, "content-encoding": encoding}
        answer = await client.post("/v1/interests", content=BODY, headers=headers)
    assert answer.status_code == 415
    assert "Content-Encoding: gzip" in answer.json()["detail"]


async def test_a_client_that_leaves_after_a_packed_request_frees_its_place(
    gateway: FakeGateway,
) -> None:
    gateway.generator.gate.clear()
    app = gateway.app()
    gone = asyncio.Event()
    said = [{"type": "http.request", "body": gzip.compress(BODY), "more_body": False}]

    async def receive() -> dict[str, Any]:
        if said:
            return said.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        raise AssertionError(f"nothing should be sent to a client that has gone: {message}")

    scope = post_scope((b"content-encoding", b"gzip"), (b"accept-encoding", b"gzip"))
    async with app.router.lifespan_context(app):
        call = asyncio.create_task(app(scope, receive, send))
        while not gateway.generator.running:
            await asyncio.sleep(0.005)
        gone.set()
        await asyncio.wait_for(call, 20)
    assert gateway.generator.cancelled == 1
    assert gateway.registry.get_sample_value("interests_in_flight") == 0


async def test_signals_may_be_packed_too(gateway: FakeGateway) -> None:
    body = {
        "user_id": "u",
        "signals": [{"at": "2026-01-01T00:00:00Z", "domain": "news", "text": "tram"}],
    }
    async with client_of(gateway.app()) as client:
        packed = gzip.compress(orjson.dumps(body))
        answer = await client.post("/v1/signals", content=packed, headers=PACKED)
    assert answer.json()["stored"] == 1
