"""The access log: one line a request, where it is asked for, without who the user is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.unit.service.api.fakes import FakeGateway, client_of


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.fields for record in caplog.records if record.name == "interests.access"]


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


async def test_each_request_is_a_line_that_names_no_user(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = FakeGateway(tmp_path, access_log=True)
    async with client_of(gateway.app()) as client:
        answer = await client.post("/v1/interests", json={"user_id": "somebody"})
        await client.delete("/v1/users/somebody", headers={"x-request-id": "mine"})
        await client.get("/somebody")
        await client.get("/v1/users/somebody/signals")
        await client.get("/")
    first, second, third, fourth, fifth = lines(caplog)
    assert first.pop("ms") > 0
    assert first == {
        "request_id": answer.headers["x-request-id"],
        "method": "POST",
        "route": "/v1/interests",
        "status": 200,
        "key": "anonymous",
    }
    assert (second["request_id"], second["route"], second["status"]) == (
        "mine",
        "/v1/users/{user_id}",
        204,
    )
    assert (third["route"], third["status"]) == ("other", 404)
    assert (fourth["route"], fourth["status"]) == ("/v1/users/{user_id}/signals", 200)
    assert (fifth["route"], fifth["status"]) == ("/", 200)
    said = [record.getMessage() for record in caplog.records if record.name == "interests.access"]
    assert "somebody" not in f"{lines(caplog)} {said}"


async def test_a_head_is_logged_as_the_get_that_it_asks_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_of(FakeGateway(tmp_path, access_log=True).app()) as client:
        answer = await client.head("/healthz")
    (line,) = lines(caplog)
    assert (line["method"], line["route"], line["status"]) == ("GET", "/healthz", 200)
    assert line["request_id"] == answer.headers["x-request-id"]


async def test_without_being_asked_for_there_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_of(FakeGateway(tmp_path).app()) as client:
        await client.get("/healthz")
    assert lines(caplog) == []


async def test_an_unforeseen_error_is_counted_and_logged_as_what_is_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = FakeGateway(tmp_path, access_log=True)

    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(gateway.store, "append", fail)
    body = {
        "user_id": "u",
        "signals": [{"domain": "search", "text": "storm", "at": "2026-01-01T00:00:00Z"}],
    }
    async with client_of(gateway.app(), raise_errors=False) as client:
        answer = await client.post("/v1/signals", json=body)
        metrics = (await client.get("/metrics")).text
    assert answer.status_code == 500
    assert lines(caplog)[0]["status"] == 500
    assert 'interests_requests_total{route="/v1/signals",status="500"} 1.0' in metrics
