"""What is refused before the routes, and what happens when a client leaves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.service.api.fakes import FakeGateway, client_of


@pytest.fixture
def gateway(tmp_path: Path) -> FakeGateway:
    return FakeGateway(tmp_path)


def post_scope(*headers: tuple[bytes, bytes]) -> dict[str, object]:
    """What a server hands over for `POST /v1/interests`, without the body."""
    return {
        "type": "http",
        "method": "POST",
        "path": "/v1/interests",
        "raw_path": b"/v1/interests",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "headers": [(b"content-type", b"application/json"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }


def kept_key(gateway: FakeGateway, *rights: str) -> dict[str, str]:
    gateway.keys = {"backend": ("open-sesame", frozenset(rights))}
    return {"X-API-Key": "open-sesame"}


async def test_a_missing_or_wrong_key_is_401(gateway: FakeGateway) -> None:
    kept_key(gateway, "interests")
    async with client_of(gateway.app()) as client:
        for headers in ({}, {"X-API-Key": "guess"}):
            answer = await client.post("/v1/interests", json={"user_id": "u"}, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"
            assert "X-API-Key" in answer.json()["detail"]
            assert "Authorization: Bearer" in answer.json()["detail"]
            assert answer.headers["www-authenticate"] == 'Bearer realm="interests"'


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
async def test_a_key_may_be_sent_as_a_bearer_token(gateway: FakeGateway, scheme: str) -> None:
    kept_key(gateway, "interests")
    headers = {"Authorization": f"{scheme}open-sesame"}
    async with client_of(gateway.app()) as client:
        answer = await client.post("/v1/interests", json={"user_id": "u"}, headers=headers)
        page = await client.get("/openapi.json", headers=headers)
        forbidden = await client.get("/metrics", headers=headers)
    assert (answer.status_code, page.status_code, forbidden.status_code) == (200, 200, 403)
    assert forbidden.headers["www-authenticate"].endswith('error="insufficient_scope"')


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ("Bearer guess", 'Bearer realm="interests", error="invalid_token"'),
        ("Bearer", 'Bearer realm="interests", error="invalid_token"'),
        ("Bearer open-sesame more", 'Bearer realm="interests", error="invalid_token"'),
        ("Basic open-sesame", 'Bearer realm="interests"'),
        ("open-sesame", 'Bearer realm="interests"'),
        ("", 'Bearer realm="interests"'),
    ],
)
async def test_an_authorization_without_a_known_key_is_401(
    gateway: FakeGateway, sent: str, told: str
) -> None:
    kept_key(gateway, "interests")
    headers = {"Authorization": sent}
    async with client_of(gateway.app()) as client:
        answer = await client.post("/v1/interests", json={"user_id": "u"}, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == told


async def test_where_both_headers_are_sent_the_key_in_x_api_key_counts(
    gateway: FakeGateway,
) -> None:
    known = kept_key(gateway, "interests")
    async with client_of(gateway.app()) as client:
        for key, status in ((known["X-API-Key"], 200), ("guess", 401)):
            other = "guess" if status == 200 else known["X-API-Key"]
            headers = {"X-API-Key": key, "Authorization": f"Bearer {other}"}
            answer = await client.post("/v1/interests", json={"user_id": "u"}, headers=headers)
            assert answer.status_code == status


async def test_without_keys_an_authorization_is_passed_over(gateway: FakeGateway) -> None:
    headers = {"Authorization": "Bearer guess"}
    async with client_of(gateway.app()) as client:
        answer = await client.post("/v1/interests", json={"user_id": "u"}, headers=headers)
    assert answer.status_code == 200


async def test_metrics_ask_for_their_right_unless_they_are_open(gateway: FakeGateway) -> None:
    headers = kept_key(gateway, "interests")
    async with client_of(gateway.app()) as client:
        unknown = await client.get("/metrics")
        lacking = await client.get("/metrics", headers=headers)
    assert (unknown.status_code, lacking.status_code) == (401, 403)


async def test_open_metrics_are_answered_to_anybody_and_nothing_else_is(
    gateway: FakeGateway,
) -> None:
    headers = kept_key(gateway, "interests")
    gateway.open_metrics = True
    async with client_of(gateway.app()) as client:
        for sent in ({}, headers, {"X-API-Key": "guess"}):
            answer = await client.get("/metrics", headers=sent)
            assert answer.status_code == 200
            assert "interests_requests_total" in answer.text
        for path in ("/v1/students", "/openapi.json", "/v1/users/u/signals"):
            assert (await client.get(path)).status_code == 401


async def test_a_key_without_the_right_is_403_and_says_which(gateway: FakeGateway) -> None:
    headers = kept_key(gateway, "signals")
    async with client_of(gateway.app()) as client:
        answer = await client.post("/v1/interests", json={"user_id": "u"}, headers=headers)
    assert answer.status_code == 403
    assert "interests" in answer.json()["detail"]


async def test_seeing_a_users_signals_needs_a_right_of_its_own(gateway: FakeGateway) -> None:
    gateway.keys = {
        "backend": ("one", frozenset({"interests", "signals", "delete", "variant"})),
        "support": ("two", frozenset({"read"})),
    }
    async with client_of(gateway.app()) as client:
        unknown = await client.get("/v1/users/u/signals")
        refused = await client.get("/v1/users/u/signals", headers={"x-api-key": "one"})
        allowed = await client.get("/v1/users/u/signals", headers={"x-api-key": "two"})
        deleted = await client.delete("/v1/users/u", headers={"x-api-key": "two"})
    assert (refused.status_code, unknown.status_code) == (403, 401)
    assert "'read'" in refused.json()["detail"]
    assert allowed.status_code == 200
    assert deleted.status_code == 403


async def test_choosing_a_student_needs_the_right_for_it(gateway: FakeGateway) -> None:
    headers = kept_key(gateway, "interests")
    async with client_of(gateway.app()) as client:
        body = {"user_id": "u", "variant": "fake@1"}
        answer = await client.post("/v1/interests", json=body, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["errors"][0]["field"] == "variant"


async def test_a_body_that_says_it_is_too_large_is_413_unread(gateway: FakeGateway) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, object]:
        raise AssertionError("the body was read")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    app = gateway.app()
    async with app.router.lifespan_context(app):
        await app(post_scope((b"content-length", b"70000")), receive, send)
    assert sent[0]["status"] == 413
    assert (b"connection", b"close") in sent[0]["headers"]


async def test_a_body_that_grows_too_large_is_413(gateway: FakeGateway) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b"x" * 1_000

    async with client_of(gateway.app()) as client:
        answer = await client.post("/v1/interests", content=chunks())
    assert answer.status_code == 413


async def test_a_body_that_does_not_arrive_is_408(gateway: FakeGateway) -> None:
    gateway.body_timeout_s = 0.05

    async def chunks() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with client_of(gateway.app()) as client:
        answer = await client.post("/v1/interests", content=chunks())
    assert answer.status_code == 408


async def test_beyond_capacity_is_429_with_retry_after_and_the_rest_is_served(
    gateway: FakeGateway,
) -> None:
    gateway.capacity = 3
    gateway.generator.gate.clear()
    async with client_of(gateway.app()) as client:
        calls = [
            asyncio.create_task(client.post("/v1/interests", json={"user_id": f"u{i}"}))
            for i in range(8)
        ]
        while sum(call.done() for call in calls) < 5:
            await asyncio.sleep(0.001)
        refused = [call.result() for call in calls if call.done()]
        gateway.generator.gate.set()
        answers = await asyncio.gather(*calls)
        again = await client.post("/v1/interests", json={"user_id": "later"})
    assert [answer.status_code for answer in refused] == [429] * 5
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 5
    assert again.status_code == 200


async def test_what_there_is_no_place_for_is_refused_before_its_body_is_read(
    gateway: FakeGateway,
) -> None:
    gateway.capacity = 1
    gateway.generator.gate.clear()
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, object]:
        raise AssertionError("the body was read")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    app = gateway.app()
    async with client_of(app) as client:
        first = asyncio.create_task(client.post("/v1/interests", json={"user_id": "u"}))
        while not gateway.generator.running:
            await asyncio.sleep(0.001)
        await app(post_scope(), receive, send)
        gateway.generator.gate.set()
        assert (await first).status_code == 200
    assert sent[0]["status"] == 429
    assert b"urn:interests:problem:overloaded" in sent[1]["body"]
    refused = {"reason": "limit"}
    assert gateway.registry.get_sample_value("interests_refused_total", refused) == 1


async def test_a_key_that_floods_leaves_another_its_places(gateway: FakeGateway) -> None:
    gateway.keys = {name: (name * 8, frozenset({"interests"})) for name in ("one", "two")}
    gateway.capacity = 10
    async with client_of(gateway.app()) as client:

        def post(name: str) -> asyncio.Task[httpx.Response]:
            return asyncio.create_task(
                client.post("/v1/interests", json={"user_id": "u"}, headers={"x-api-key": name * 8})
            )

        await asyncio.gather(*(post("two") for _ in range(2)))  # it is known to want two
        gateway.generator.gate.clear()
        flood = [post("one") for _ in range(20)]
        while sum(call.done() for call in flood) < 12:
            await asyncio.sleep(0.001)
        little = [post("two") for _ in range(2)]
        while gateway.generator.running < 10:
            await asyncio.sleep(0.001)
        gateway.generator.gate.set()
        answers = await asyncio.gather(*flood), await asyncio.gather(*little)
    assert Counter(answer.status_code for answer in answers[0]) == {429: 12, 200: 8}
    assert [answer.status_code for answer in answers[1]] == [200, 200]
    share = {"reason": "share"}
    assert gateway.registry.get_sample_value("interests_refused_total", share) == 12


async def test_a_batch_needs_a_place_for_each_user(gateway: FakeGateway) -> None:
    gateway.capacity = 3
    async with client_of(gateway.app()) as client:
        users = [{"user_id": f"u{i}"} for i in range(4)]
        over = await client.post("/v1/interests:batch", json={"requests": users})
        fits = await client.post("/v1/interests:batch", json={"requests": users[:3]})
    assert over.status_code == 429
    assert [one["status"] for one in fits.json()["results"]] == [200] * 3


async def test_work_is_cancelled_when_the_client_has_gone(gateway: FakeGateway) -> None:
    gateway.generator.gate.clear()
    app = gateway.app()
    gone = asyncio.Event()
    body = b'{"user_id": "u"}'
    said = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, object]:
        if said:
            return said.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        raise AssertionError(f"nothing should be sent to a client that has gone: {message}")

    async with app.router.lifespan_context(app):
        call = asyncio.create_task(app(post_scope(), receive, send))
        while not gateway.generator.running:
            await asyncio.sleep(0.005)
        gone.set()
        await asyncio.wait_for(call, 20)
    assert gateway.generator.cancelled == 1
    assert gateway.registry.get_sample_value("interests_in_flight") == 0
    left = {"route": "/v1/interests", "status": "499"}
    assert gateway.registry.get_sample_value("interests_requests_total", left) == 1


async def test_unknown_paths_and_methods_are_problems_too(gateway: FakeGateway) -> None:
    async with client_of(gateway.app()) as client:
        missing = await client.get("/v1/nothing")
        wrong = await client.get("/v1/interests")
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert missing.json()["type"] == "urn:interests:problem:not-found"
    assert wrong.json()["type"] == "urn:interests:problem:method-not-allowed"
