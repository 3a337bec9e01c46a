"""Every answer names its request."""

from __future__ import annotations

import logging
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.request_ids import request_id_of
from service.identity import Identity
from tests.unit.service.api.fakes import FakeGateway, client_of


@pytest.fixture
def gateway(tmp_path: Path) -> FakeGateway:
    return FakeGateway(
        tmp_path, keys={"backend": ("open-sesame", frozenset({"interests", "metrics"}))}
    )


ANSWERS = [
    ("GET", "/healthz", 200),
    ("GET", "/readyz", 200),
    ("GET", "/metrics", 200),
    ("GET", "/", 200),
    ("GET", "/openapi.json", 200),
    ("GET", "/nowhere", 404),
    ("GET", "/v1/interests", 405),
    ("POST", "/v1/interests", 200),
    ("POST", "/v1/interests:batch", 422),
    ("POST", "/v1/signals", 403),
]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
async def test_every_answer_has_an_id_and_takes_over_the_callers(
    gateway: FakeGateway, method: str, path: str, status: int
) -> None:
    async with client_of(gateway.app()) as client:

        async def call(**more: str) -> httpx.Response:
            headers = {"x-api-key": "open-sesame", **more}
            return await client.request(method, path, json={"user_id": "u"}, headers=headers)

        first, second = await call(), await call()
        named = await call(**{"x-request-id": "trace-7/a:b"})
    assert [one.status_code for one in (first, second, named)] == [status] * 3
    assert named.headers.get_list("x-request-id") == ["trace-7/a:b"]
    ids = [*first.headers.get_list("x-request-id"), *second.headers.get_list("x-request-id")]
    assert len(set(ids)) == 2
    assert all(len(one) >= 32 for one in ids)


async def test_an_answer_is_named_as_its_body_says(gateway: FakeGateway) -> None:
    async with client_of(gateway.app()) as client:
        headers = {"x-api-key": "open-sesame"}
        answer = await client.post("/v1/interests", json={"user_id": "u"}, headers=headers)
        headers["x-request-id"] = "mine"
        named = await client.post("/v1/interests", json={"user_id": "u"}, headers=headers)
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert named.headers["x-request-id"] == "mine"
    assert Identity(b"secret").verified(named.json()["request_id"], "u")


async def test_refusals_of_the_gate_have_an_id(gateway: FakeGateway) -> None:
    async with client_of(gateway.app()) as client:
        for headers in ({}, {"x-api-key": "open-sesame", "content-length": "99999999"}):
            answer = await client.post("/v1/interests", content=b"{}", headers=headers)
            assert answer.status_code in (401, 413)
            assert answer.headers["x-request-id"]


async def test_an_unexpected_error_has_the_id_that_the_log_has(
    gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    app = gateway.app()

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a fault")

    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            with caplog.at_level(logging.ERROR):
                answer = await client.get("/broken")
    assert answer.status_code == 500
    named = answer.headers["x-request-id"]
    assert {"request_id": named} in [getattr(one, "fields", None) for one in caplog.records]


@pytest.mark.parametrize(
    "value", [b"", b"a b", b"a\tb", "é".encode(), b"x" * 129, b"a\r\nset-cookie: b", b"\x7f"]
)
def test_an_id_that_is_no_word_of_ascii_is_replaced(value: bytes) -> None:
    assert request_id_of([(b"x-request-id", value)]).encode() != value


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128))
def test_any_word_of_printable_ascii_is_taken_over(value: str) -> None:
    assert request_id_of([(b"host", b"x"), (b"x-request-id", value.encode())]) == value
