"""With an operations port, what is for operators is served there and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from tests.unit.service.api.fakes import FakeGateway, client_of

MAIN, OPERATIONS = "http://gateway:8080", "http://gateway:9090"
FOR_OPERATIONS = ["/metrics", "/docs", "/docs/assets/swagger-ui.css", "/openapi.json"]
FOR_CALLERS = ["/v1/students", "/v1/users/u/signals", "/nowhere"]
ON_BOTH = ["/", "/healthz", "/readyz"]


async def statuses(gateway: FakeGateway, origin: str, paths: list[str]) -> list[int]:
    fresh = replace(gateway, registry=CollectorRegistry())
    async with client_of(fresh.app()) as client:
        answers = [await client.get(origin + path) for path in paths]
    for answer in answers:
        assert answer.headers["x-request-id"]
        if answer.status_code == 404:
            assert answer.headers["content-type"] == "application/problem+json"
    return [answer.status_code for answer in answers]


@pytest.fixture
def gateway(tmp_path: Path) -> FakeGateway:
    return FakeGateway(tmp_path, operations_port=9090)


async def test_what_is_for_operators_is_on_their_port_alone(gateway: FakeGateway) -> None:
    assert await statuses(gateway, OPERATIONS, FOR_OPERATIONS) == [200] * 4
    assert await statuses(gateway, MAIN, FOR_OPERATIONS) == [404] * 4


async def test_the_api_is_on_the_main_port_alone(gateway: FakeGateway) -> None:
    assert await statuses(gateway, MAIN, FOR_CALLERS) == [200, 200, 404]
    assert await statuses(gateway, OPERATIONS, FOR_CALLERS) == [404] * 3
    async with client_of(gateway.app()) as client:
        asked = [
            await client.post(f"{origin}/v1/interests", json={"user_id": "u"})
            for origin in (MAIN, OPERATIONS)
        ]
    assert [answer.status_code for answer in asked] == [200, 404]
    assert "main port" in asked[1].json()["detail"]


@pytest.mark.parametrize("origin", [MAIN, OPERATIONS])
async def test_probes_may_look_at_either(gateway: FakeGateway, origin: str) -> None:
    assert await statuses(gateway, origin, ON_BOTH) == [200] * 3


async def test_without_that_port_everything_is_on_the_one(tmp_path: Path) -> None:
    paths = [*FOR_OPERATIONS, *FOR_CALLERS[:2], *ON_BOTH]
    assert await statuses(FakeGateway(tmp_path), MAIN, paths) == [200] * len(paths)


async def test_no_header_makes_the_main_port_the_other(gateway: FakeGateway) -> None:
    claims = {"host": "gateway:9090", "x-forwarded-port": "9090", "forwarded": "host=gateway:9090"}
    async with client_of(gateway.app()) as client:
        answer = await client.get(f"{MAIN}/metrics", headers=claims)
    assert answer.status_code == 404


async def test_a_key_is_asked_for_on_the_operations_port_as_well(tmp_path: Path) -> None:
    keys = {"backend": ("open-sesame", frozenset({"interests"}))}
    gateway = FakeGateway(tmp_path, operations_port=9090, keys=keys)
    assert await statuses(gateway, OPERATIONS, ["/metrics", "/docs", "/healthz"]) == [401, 401, 200]


async def test_the_root_links_to_what_its_port_serves(gateway: FakeGateway) -> None:
    async with client_of(gateway.app()) as client:

        async def links(origin: str) -> dict[str, str]:
            found: httpx.Response = await client.get(origin)
            linked: dict[str, str] = found.json()["links"]
            for path in linked.values():
                assert (await client.get(origin + path)).status_code == 200
            return linked

        assert set(await links(MAIN)) == {"health", "ready"}
        assert set(await links(OPERATIONS)) == {"health", "ready", "docs", "openapi"}
