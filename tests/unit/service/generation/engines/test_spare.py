"""Calls that no user waits for: they take what nobody needs, and change nothing for requests."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from service.errors import GenerationOverloaded, GenerationTimeout, GenerationUnavailable
from service.generation.engines.calls import EngineBusy, EngineFailed, EngineRefused, EngineUnfit
from service.telemetry import Metrics
from tests.unit.service.generation.engines.fakes import (
    FakeEngine,
    call,
    go,
    running,
    settle,
    soon,
    until,
)
from tests.unit.service.generation.engines.test_dispatch import outcomes

pytestmark = pytest.mark.jumping_clock


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


async def test_a_spare_call_is_answered_like_any_other(metrics: Metrics) -> None:
    engine = FakeEngine()
    async with running(engine, window=4, metrics=metrics) as it:
        spare = go(it.complete_spare(call(1), soon(5)))
        await settle()
        engine.streams[0].end("storm")
        made = await spare
        assert (made.samples[0].text, made.finished) == ("storm", True)
        assert outcomes(metrics, engine) == {"spare": 1}


async def test_a_busy_engine_gets_none() -> None:
    engine = FakeEngine()
    async with running(engine, window=4) as it:
        real = [go(it.complete(call(n), soon(5))) for n in (1, 2)]
        await settle()
        with pytest.raises(GenerationOverloaded):
            await it.complete_spare(call(3), soon(5))
        assert engine.prompts == [1, 2]
        for stream in engine.streams:
            stream.end("x")
        await asyncio.gather(*real)


async def test_it_gives_way_when_a_request_needs_its_slot(metrics: Metrics) -> None:
    engine = FakeEngine()
    async with running(engine, window=2, metrics=metrics) as it:
        spare = go(it.complete_spare(call(1), soon(60)))
        await settle()
        real = [go(it.complete(call(n), soon(60))) for n in (2, 3)]
        await settle()
        with pytest.raises(GenerationOverloaded, match="gave way"):
            await spare
        assert engine.streams[0].aborted
        assert engine.prompts == [1, 2, 3]
        for stream in engine.streams[1:]:
            stream.end("x")
        await asyncio.gather(*real)
        assert outcomes(metrics, engine) == {"spare": 1, "done": 2}


async def test_a_request_for_the_same_work_takes_it_over(metrics: Metrics) -> None:
    """Then it is the request's: nothing sheds it, and both get the completion."""
    engine = FakeEngine()
    async with running(engine, window=2, metrics=metrics) as it:
        spare = go(it.complete_spare(call(1), soon(60)))
        await settle()
        real = [go(it.complete(call(n), soon(60))) for n in (1, 2, 3)]
        await settle()
        assert engine.prompts == [1, 2]
        engine.streams[0].end("same")
        assert (await spare) == (await real[0])
        await settle()
        for stream in engine.streams[1:]:
            stream.end("x")
        await asyncio.gather(*real)
        assert outcomes(metrics, engine) == {"shared": 1, "done": 3}


async def test_when_the_request_that_took_it_over_has_gone_it_ends() -> None:
    engine = FakeEngine()
    async with running(engine, window=2) as it:
        spare = go(it.complete_spare(call(1), soon(60)))
        await settle()
        with pytest.raises(GenerationTimeout):
            await it.complete(call(1), soon(1))
        with pytest.raises(GenerationOverloaded):
            await spare
        assert engine.streams[0].aborted


async def test_what_a_request_has_in_work_is_not_asked_for_again() -> None:
    engine = FakeEngine()
    async with running(engine, window=8) as it:
        real = go(it.complete(call(1), soon(5)))
        await settle()
        with pytest.raises(GenerationOverloaded):
            await it.complete_spare(call(1), soon(5))
        engine.streams[0].end("x")
        assert (await real).finished


async def test_at_its_deadline_it_gets_what_has_come_and_the_engine_is_let_go() -> None:
    engine = FakeEngine()
    async with running(engine, window=4) as it:
        spare = go(it.complete_spare(call(1), soon(5)))
        await settle()
        engine.streams[0].say("storm")
        assert not (await spare).finished
        await settle()
        assert engine.streams[0].aborted


async def test_a_hung_engine_gives_it_up_at_its_deadline() -> None:
    engine = FakeEngine()
    async with running(engine, window=4) as it:
        with pytest.raises(GenerationTimeout):
            await it.complete_spare(call(1), soon(5))
        await settle()
        assert engine.streams[0].aborted
        assert [status.state for status in it.status()] == ["up"]


async def test_a_caller_that_leaves_ends_it() -> None:
    engine = FakeEngine()
    async with running(engine, window=4) as it:
        spare = go(it.complete_spare(call(1), soon(5)))
        await settle()
        spare.cancel()
        await until(lambda: engine.streams[0].aborted)
        assert it.in_work == 0


@pytest.mark.parametrize(
    "error",
    [
        EngineRefused("does not know n"),
        EngineFailed("answered 500"),
        EngineUnfit("serves another model"),
        EngineBusy("answered 429", 5.0),
    ],
)
async def test_whatever_it_meets_the_engine_serves_requests_as_before(
    error: Exception, metrics: Metrics
) -> None:
    """It may ask for what no request asks for, so its errors are not the engine's."""
    engine = FakeEngine()
    async with running(engine, window=4, metrics=metrics) as it:
        for _ in range(10):
            spare = go(it.complete_spare(call(1), soon(5)))
            await settle()
            engine.streams[-1].fail(error)
            with pytest.raises((GenerationUnavailable, type(error))):
                await spare
        real = [go(it.complete(call(n), soon(5))) for n in range(4)]
        await settle()
        assert engine.running == 4, "up, with its whole window"
        for stream in engine.streams[10:]:
            stream.end("x")
        await asyncio.gather(*real)
        assert outcomes(metrics, engine) == {"spare": 10, "done": 4}


async def test_without_an_engine_in_service_it_is_refused_at_once() -> None:
    async with running(window=4) as it:
        with pytest.raises(GenerationUnavailable, match="no engine is configured"):
            await it.complete_spare(call(1), soon(5))
