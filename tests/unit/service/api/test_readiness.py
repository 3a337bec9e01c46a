"""Parts that go and come back: readiness, a gauge, and one line in the log each time."""

from __future__ import annotations

import logging

import pytest
from prometheus_client import CollectorRegistry

from service.api.readiness import Readiness
from service.errors import SignalsUnavailable
from service.telemetry import Metrics


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
