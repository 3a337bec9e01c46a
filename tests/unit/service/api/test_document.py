"""The OpenAPI document, where a generated client depends on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.service.api.fakes import FakeGateway, client_of


@pytest.fixture
def gateway(tmp_path: Path) -> FakeGateway:
    return FakeGateway(tmp_path)


async def test_the_document_shows_what_an_entry_of_a_batch_is(gateway: FakeGateway) -> None:
    async with client_of(gateway.app()) as client:
        schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    entries = schemas["BatchIn"]["properties"]["requests"]
    assert entries["items"] == {"$ref": "#/components/schemas/InterestsIn"}
    assert (entries["minItems"], entries["maxItems"]) == (1, 64)


async def test_operations_have_the_names_that_generated_clients_rely_on(
    gateway: FakeGateway,
) -> None:
    async with client_of(gateway.app()) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    ids = {
        f"{method.upper()} {path}": operation["operationId"]
        for path, item in paths.items()
        for method, operation in item.items()
    }
    assert ids == {
        "POST /v1/interests": "interests",
        "POST /v1/interests:batch": "interests_batch",
        "POST /v1/signals": "append_signals",
        "POST /v1/feedback": "feedback",
        "DELETE /v1/users/{user_id}": "delete_user",
        "GET /v1/users/{user_id}/signals": "user_signals",
        "GET /v1/students": "students",
        "GET /v1/experiments": "experiments",
        "GET /healthz": "healthz",
        "GET /readyz": "readyz",
        "GET /metrics": "metrics",
    }


async def test_every_answer_is_said_to_carry_its_request_id(gateway: FakeGateway) -> None:
    async with client_of(gateway.app()) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    for item in paths.values():
        for operation in item.values():
            for response in operation["responses"].values():
                assert "X-Request-Id" in response["headers"]


ASKING = {
    "interests",
    "interests_batch",
    "append_signals",
    "feedback",
    "delete_user",
    "user_signals",
    "students",
    "experiments",
    "metrics",
}
"""Operations that ask for a key, where there are keys."""


@pytest.mark.parametrize("open_metrics", [False, True])
async def test_operations_that_ask_for_a_key_say_both_ways_to_send_it(
    gateway: FakeGateway, open_metrics: bool
) -> None:
    gateway.keys = {"backend": ("open-sesame", frozenset())}
    gateway.open_metrics = open_metrics
    async with client_of(gateway.app()) as client:
        answer = await client.get("/openapi.json", headers={"X-API-Key": "open-sesame"})
    document = answer.json()
    assert document["components"]["securitySchemes"] == {
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    asking = set()
    for item in document["paths"].values():
        for operation in item.values():
            if "security" in operation:
                assert operation["security"] == [{"key": []}, {"bearer": []}]
                assert {"401", "403"} <= set(operation["responses"])
                asking.add(operation["operationId"])
    assert asking == ASKING - ({"metrics"} if open_metrics else set())


async def test_without_keys_no_operation_asks_for_one(gateway: FakeGateway) -> None:
    async with client_of(gateway.app()) as client:
        document = (await client.get("/openapi.json")).json()
    assert "securitySchemes" not in document["components"]
    assert not any(
        "security" in operation
        for item in document["paths"].values()
        for operation in item.values()
    )
