"""Parts that go and come back: readiness, a gauge, and one line in the log each time."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from service.api.readiness import Readiness
from service.errors import SignalsUnavailable
from service.telemetry import Metrics
from tests.unit.service.api.fakes import FakeGateway, client_of


class Part:
    """A part that can be told to fail."""

    def __init__(self) -> None:
        self.fault = ""

    async def check(self, until: float) -> None:
        if self.fault:
            raise SignalsUnavailable(self.fault)


def up(registry: CollectorRegistry, part: str) -> float | None:
    return registry.get_sample_value("interests_part_up", {"part": part})


async def test_a_part_that_goes_and_comes_back_is_said_once_each_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "service.api.readiness")
    part, registry = Part(), CollectorRegistry()
    readiness = Readiness({"redis": part.check}, frozenset(), Metrics(registry))
    for fault, gauge in [
        ("", 1),
        ("gone", 0),
        ("gone", 0),
        ("gone otherwise", 0),
        ("", 1),
        ("", 1),
    ]:
        part.fault = fault
        await readiness.look()
        assert up(registry, "redis") == gauge
    assert caplog.messages == ["redis is up", "redis is down: gone", "redis is up"]


async def test_the_log_names_the_host_and_the_answer_does_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    part = Part()
    readiness = Readiness({"redis": part.check}, frozenset(), Metrics(CollectorRegistry()))
    part.fault = "connecting to redis.internal:6379 failed"
    _, states = await readiness.look()
    assert states == {"redis": "connecting to a host failed"}
    assert "redis.internal:6379" in caplog.text


async def test_once_ready_a_part_that_goes_does_not_take_the_process_out() -> None:
    gating, other = Part(), Part()
    readiness = Readiness(
        {"index": gating.check, "redis": other.check},
        frozenset({"index"}),
        Metrics(CollectorRegistry()),
    )
    gating.fault = other.fault = "gone"
    assert not (await readiness.look())[0]
    gating.fault = ""
    assert (await readiness.look())[0], "redis does not gate"
    gating.fault = "gone"
    assert (await readiness.look())[0]
    readiness.draining = True
    assert not (await readiness.look())[0]


async def test_the_line_names_the_last_request_that_has_met_the_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "service.api.readiness")
    redis, index = Part(), Part()
    readiness = Readiness(
        {"redis": redis.check, "index": index.check}, frozenset(), Metrics(CollectorRegistry())
    )
    readiness.met(["retrieval_timeout"], "before-it-was-fine-again")
    await readiness.look()
    redis.fault = "gone"
    readiness.met(["signals_unavailable", "generation_invalid"], "first")
    readiness.met(["no_signals", "signals_unavailable"], "second")
    await readiness.look()
    await readiness.look("a-later-look")
    index.fault = "gone too"
    await readiness.look("the-look-itself")
    redis.fault = ""
    await readiness.look("the-look-that-found-it")
    index.fault = ""
    await readiness.look()
    assert [(one.getMessage(), getattr(one, "fields", None)) for one in caplog.records[2:]] == [
        ("redis is down: gone", {"request_id": "second"}),
        ("index is down: gone too", {"request_id": "the-look-itself"}),
        ("redis is up", {"request_id": "the-look-that-found-it"}),
        ("index is up", None),
    ]


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What readiness logged; others may say that the machine is slow."""
    return [line for line in caplog.records if line.name == "service.api.readiness"]


@pytest.mark.parametrize("own", [{}, {"x-request-id": "mine"}])
@pytest.mark.parametrize("path", ["/v1/interests", "/v1/interests:batch", "/v1/signals"])
async def test_the_request_that_is_named_is_one_that_was_degraded_or_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str, own: dict[str, str]
) -> None:
    gateway = FakeGateway(tmp_path)
    event = {"at": "2026-01-01T00:00:00Z", "domain": "news", "text": "tram"}
    asked = {"user_id": "u", "signals": [event]}
    async with client_of(gateway.app()) as client:
        await client.get("/readyz")
        gateway.store.broken = True
        body = {"requests": [asked]} if path.endswith(":batch") else asked
        answer = await client.post(path, json=body, headers=own)
        caplog.set_level(logging.INFO, "service.api.readiness")
        caplog.clear()
        await client.get("/readyz", headers={"x-request-id": "the-look"})
    (line,) = lines(caplog)
    named = answer.headers["x-request-id"]
    if path.endswith(":batch") and not own:
        named = answer.json()["results"][0]["result"]["request_id"]
    assert line.getMessage() == "redis is down: the store is broken"
    assert line.fields == {"request_id": named}


@pytest.mark.parametrize("path", ["/v1/interests", "/v1/interests:batch"])
async def test_so_is_one_for_which_there_was_nothing_to_serve(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    gateway = FakeGateway(tmp_path, with_popular=False)
    gateway.index.broken = True
    async with client_of(gateway.app()) as client:
        body = {"requests": [{"user_id": "u"}]} if path.endswith(":batch") else {"user_id": "u"}
        answer = await client.post(path, json=body)
        caplog.set_level(logging.INFO, "service.api.readiness")
        caplog.clear()
        await client.get("/readyz")
    (line,) = [one for one in caplog.records if "index" in one.getMessage()]
    assert line.fields == {"request_id": answer.headers["x-request-id"]}
