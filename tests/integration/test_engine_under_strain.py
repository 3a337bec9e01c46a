"""Engines that are busy, and engines that refuse every call, behind real sockets."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from service.errors import GenerationError, GenerationOverloaded
from service.generation.engines.calls import Completion, EngineBusy, EngineFailed, EngineRefused
from service.generation.engines.dispatch import Dispatcher
from service.generation.engines.vllm import VllmEngine
from service.telemetry import Metrics
from tests.integration.test_engine_client import ask, call, dispatching, soon, until
from tests.parts.simulator import Simulator, simulator


@pytest.fixture
def engine() -> Iterator[Simulator]:
    with simulator("--step-ms", "5") as it:
        yield it


def metric(metrics: Metrics, name: str, engine: Simulator, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"student": "", "engine": engine.url, **labels})


@pytest.mark.parametrize(("status", "retry_after"), [(429, ""), (429, "1"), (503, "1")])
async def test_an_engine_without_room_serves_everybody_in_turn_and_stays_in_service(
    engine: Simulator, caplog: pytest.LogCaptureFixture, status: int, retry_after: str
) -> None:
    """Eight at once are all that it takes; the window before it is 32."""
    metrics = Metrics(CollectorRegistry())
    engine.set(capacity=8, busy_status=status, retry_after=retry_after)
    it = Dispatcher([VllmEngine(engine.url)], ("sim",), metrics, window=32, queue=1_024)
    await it.start()
    try:
        await until(lambda: it.status()[0].state == "up")
        with caplog.at_level(logging.WARNING):
            made = await asyncio.gather(*(it.complete(call(n), soon(60)) for n in range(300)))
        assert all(completion.finished for completion in made)
        assert it.status()[0].state == "up"
        assert metric(metrics, "interests_engine_up", engine) == 1
        assert metric(metrics, "interests_engine_calls_total", engine, outcome="failed") is None
        room = metric(metrics, "interests_engine_room", engine)
        assert room is not None
        assert 4 <= room <= 9
        # Two dozen at the start, and one whenever the room has grown to nine again.
        turned_away = engine.seen()["turned_away"]
        busy = metric(metrics, "interests_engine_calls_total", engine, outcome="busy")
        assert 24 <= turned_away == busy <= 150
        told = [record for record in caplog.records if "is busy" in record.message]
        assert len(told) == 1
        engine.set(capacity=1_000)
        await asyncio.gather(*(it.complete(call(n), soon(60)) for n in range(500, 1_500)))
        assert metric(metrics, "interests_engine_room", engine) == 32
    finally:
        await it.close()


async def test_an_engine_that_is_busy_for_long_is_asked_now_and_then_and_its_callers_go_on(
    engine: Simulator,
) -> None:
    async with dispatching(engine.url) as it:
        engine.set(capacity=0)
        asked = (it.complete(call(n), soon(1)) for n in range(40))
        said = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(error) for error in said} == {GenerationOverloaded}
        assert it.status()[0].state == "up"
        seen = engine.seen()
        assert 32 <= seen["turned_away"] <= 50, "each of the window once, then one at a time"
        engine.set(capacity=8)
        assert (await it.complete(call(99), soon(20))).finished


async def test_a_busy_engine_is_not_asked_again_before_the_moment_it_named(
    engine: Simulator,
) -> None:
    async with dispatching(engine.url) as it:
        engine.set(capacity=0, retry_after="30")
        said = await asyncio.gather(
            *(it.complete(call(n), soon(1)) for n in range(5)), return_exceptions=True
        )
        assert {type(error) for error in said} == {GenerationOverloaded}
        assert engine.seen()["turned_away"] == 5


async def test_what_one_replica_has_no_room_for_another_serves() -> None:
    with simulator("--step-ms", "5", "--capacity", "2") as small, simulator() as large:
        async with dispatching(small.url, large.url, window=32, queue=512) as it:
            made = await asyncio.gather(*(it.complete(call(n), soon(30)) for n in range(200)))
            served = Counter(completion.engine for completion in made)
            assert all(completion.finished for completion in made)
            assert served[large.url] > served[small.url] > 0
            assert [status.state for status in it.status()] == ["up", "up"]


async def test_of_a_503_only_one_that_says_when_to_come_back_is_busy(engine: Simulator) -> None:
    engine.set(capacity=0, busy_status=503)
    with pytest.raises(EngineFailed, match="answered 503"):
        await ask(engine.url, call(1))
    for retry_after, seconds in (("7", 7.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", 0.0)):
        engine.set(retry_after=retry_after)
        with pytest.raises(EngineBusy, match="answered 503") as raised:
            await ask(engine.url, call(1))
        assert raised.value.retry_after_s == seconds


def ours(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What the service logged; asyncio may say that the machine is slow."""
    return [line for line in caplog.records if line.name.startswith("service.")]


@pytest.mark.parametrize("status", [400, 404, 422, 500])
async def test_an_engine_that_passes_its_probe_and_serves_no_call_is_on_trial_until_it_does(
    engine: Simulator, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    metrics = Metrics(CollectorRegistry())
    it = Dispatcher([VllmEngine(engine.url)], ("sim",), metrics)
    await it.start()
    try:
        await until(lambda: it.status()[0].state == "up")
        engine.set(refuse=status)
        with caplog.at_level(logging.INFO):
            for time in range(3):
                for number in range(4):
                    with pytest.raises(GenerationError):
                        await it.complete(call(10 * time + number), soon(5))
                await until(lambda: it.status()[0].state in ("up", "trial"))
            logged = len(ours(caplog))
        # From now on one call decides each time; what is known is not said again.
        assert it.status()[0].state == "trial"
        assert f"answered {status}" in it.status()[0].reason
        assert metric(metrics, "interests_engine_up", engine) == 0
        refused = len(engine.seen()["calls"])
        with caplog.at_level(logging.INFO):
            said = await asyncio.gather(
                *(it.complete(call(n), soon(5)) for n in range(1_000, 1_020)),
                return_exceptions=True,
            )
        assert all(isinstance(error, GenerationError) for error in said)
        assert len(engine.seen()["calls"]) <= refused + 1
        assert len(ours(caplog)) <= logged + 1
        assert it.status()[0].state == "ejected"
        engine.set(refuse=0)
        await until(lambda: it.status()[0].state == "trial")
        assert (await it.complete(call(2_000), soon(20))).finished
        assert it.status()[0].state == "up"
        assert metric(metrics, "interests_engine_up", engine) == 1
        assert metric(metrics, "interests_engine_room", engine) == 32
    finally:
        await it.close()


async def test_one_refused_call_among_served_ones_is_the_calls_own_matter(
    engine: Simulator,
) -> None:
    async with dispatching(engine.url) as it:
        for number in range(12):
            if number % 4:
                engine.set(refuse=400)
                with pytest.raises(EngineRefused):
                    await it.complete(call(number), soon(5))
            else:
                engine.set(refuse=0)
                await it.complete(call(number), soon(5))
        assert it.status()[0].state == "up"


async def test_a_call_on_trial_that_its_deadline_cuts_off_has_proved_the_engine(
    engine: Simulator,
) -> None:
    async with dispatching(engine.url) as it:
        engine.set(refuse=422)
        for number in range(4):
            with pytest.raises(EngineRefused):
                await it.complete(call(number), soon(5))
        engine.set(refuse=0)
        await until(lambda: it.status()[0].state == "trial")
        made = await it.complete(call(9, tokens=10_000), soon(1))
        assert not made.finished
        await until(lambda: it.status()[0].state == "up")


@pytest.mark.parametrize("flaky", [1, 2])
@pytest.mark.parametrize("fault", ["error", "drop"])
async def test_engines_that_fail_half_of_their_calls_get_a_tenth_more_calls_at_most(
    fault: str, flaky: int
) -> None:
    """So many retries are few where the other engine is well, and where both fail."""
    requests, started_with = 600, 3
    with simulator("--step-ms", "1") as one, simulator("--step-ms", "1") as two:
        async with dispatching(one.url, two.url) as it:
            for engine in (one, two)[:flaky]:
                engine.set(fault=fault, fault_share=0.5, fault_after=0)
            made: list[object] = []
            for first in range(0, requests, 20):
                wave = (it.complete(call(n), soon(20)) for n in range(first, first + 20))
                made += await asyncio.gather(*wave, return_exceptions=True)
            asked = len(one.seen()["calls"]) + len(two.seen()["calls"])
    served = sum(isinstance(end, Completion) for end in made)
    assert len(made) == requests
    assert served < asked <= 1.1 * requests + started_with
    if flaky == 1:
        assert asked > requests, "some are tried again"
