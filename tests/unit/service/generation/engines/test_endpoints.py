"""Replicas: pick, eject, readmit, retry."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from service.errors import GenerationUnavailable
from service.generation.engines.calls import EngineUnfit
from service.generation.engines.dispatch import Dispatcher
from service.generation.engines.endpoints import Endpoint, EndpointState, RetryBudget
from service.generation.engines.health import Patience
from service.generation.engines.jobs import Job
from service.generation.engines.lane import Lane
from service.generation.engines.picking import pick
from service.telemetry import Metrics
from tests.unit.service.generation.engines.fakes import (
    MODEL,
    FakeEngine,
    call,
    dispatcher,
    go,
    running,
    settle,
    soon,
    until,
)

pytestmark = pytest.mark.jumping_clock


def states(it: Dispatcher) -> dict[str, str]:
    return {status.url: str(status.state) for status in it.status()}


def admitted(count: int) -> list[Endpoint[Job]]:
    """Idle endpoints that are in service."""
    metrics, made = Metrics(CollectorRegistry()), []
    for number in range(count):
        engine, lane = FakeEngine(f"http://{number}"), Lane[Job](window=2, queue=8)
        endpoint = Endpoint(
            engine, (MODEL,), lane, Patience(), metrics, lambda *_: None, student="s"
        )
        endpoint.state = EndpointState.UP
        made.append(endpoint)
    return made


def home(endpoints: list[Endpoint[Job]], user: str) -> str:
    endpoint = pick(endpoints, user)
    assert endpoint is not None
    return endpoint.url


def test_a_user_keeps_the_replica_and_users_are_spread() -> None:
    endpoints = admitted(4)
    homes = {f"user {n}": home(endpoints, f"user {n}") for n in range(400)}
    assert all(home(endpoints[::-1], user) == url for user, url in homes.items())
    assert min(Counter(homes.values()).values()) > 60


def test_a_replica_that_goes_moves_only_its_own_users() -> None:
    endpoints = admitted(4)
    before = {f"user {n}": home(endpoints, f"user {n}") for n in range(200)}
    lost = endpoints[0]
    lost.failed(EngineUnfit("serves another model"))
    for user, url in before.items():
        assert (home(endpoints, user) == url) == (url != lost.url)


async def test_no_replica_gets_more_than_its_bounded_share_of_one_users_load() -> None:
    engines = [FakeEngine(f"http://{n}") for n in range(4)]
    async with running(*engines, window=64) as it:
        tasks = [go(it.complete(call(n, "same user"), soon(5))) for n in range(40)]
        await settle()
        assert sum(len(engine.streams) for engine in engines) == 40
        assert max(len(engine.streams) for engine in engines) <= 13
        for engine in engines:
            for stream in engine.streams:
                stream.end("x")
        await asyncio.gather(*tasks)


async def test_start_does_not_wait_and_a_warming_engine_is_unavailable_at_once() -> None:
    engine = FakeEngine()
    engine.alive = False
    it = dispatcher(engine)
    await it.start()
    await settle()
    [status] = it.status()
    assert (status.state, status.reason) == ("warming", "connection failed: refused")
    with pytest.raises(GenerationUnavailable, match="warming"):
        await it.complete(call(1), soon(5))
    engine.alive = True
    await until(lambda: states(it) == {engine.url: "up"})
    await it.close()


async def test_an_engine_that_serves_another_model_is_not_admitted_and_says_why() -> None:
    engine = FakeEngine(served=("other",))
    it = dispatcher(engine)
    await it.start()
    await settle()
    [status] = it.status()
    assert status.state == "warming"
    assert status.reason == "serves other, but should serve student"
    await it.close()


async def test_a_call_that_could_not_connect_is_served_by_another_replica() -> None:
    one, two = FakeEngine("http://one"), FakeEngine("http://two")
    async with running(one, two) as it:
        task = go(it.complete(call(1), soon(5)))
        await settle()
        first, second = (one, two) if one.streams else (two, one)
        first.streams[0].fail()
        await settle()
        second.streams[0].end("saved")
        assert (await task).engine == second.url


async def test_a_call_that_broke_off_after_its_first_chunk_is_not_tried_again() -> None:
    one, two = FakeEngine("http://one"), FakeEngine("http://two")
    async with running(one, two) as it:
        task = go(it.complete(call(1), soon(5)))
        await settle()
        [stream] = one.streams + two.streams
        stream.say("half")
        stream.fail()
        with pytest.raises(GenerationUnavailable, match="reset"):
            await task
        assert len(one.streams + two.streams) == 1


async def test_retries_stay_within_their_budget() -> None:
    one, two = FakeEngine("http://one"), FakeEngine("http://two")
    budget = RetryBudget(share=0.1, least=1.0)
    async with running(one, two, window=64, budget=budget) as it:
        tasks = [go(it.complete(call(n, f"user {n}"), soon(5))) for n in range(20)]
        await settle()
        failing, served = one.streams[::2], one.streams[1::2]
        assert len(served) >= 5
        # Two failures in a row would eject it and so change the question.
        for failed, ended in zip_longest(failing, served):
            failed.fail()
            await settle()
            if ended is not None:
                ended.end("x")
                await settle()
        retried = len(two.streams) + len(one.streams) - 20
        assert retried == 3, "the one at the start, and a tenth of twenty calls"
        for stream in two.streams:
            stream.end("x")
        results = await asyncio.gather(*tasks, return_exceptions=True)
        lost = [result for result in results if isinstance(result, GenerationUnavailable)]
        assert len(lost) == len(failing) - 3


@given(st.lists(st.booleans(), max_size=300))
def test_the_budget_never_grants_more_than_a_tenth_and_its_start(events: list[bool]) -> None:
    budget, calls, granted = RetryBudget(share=0.1, least=3.0), 0, 0
    for is_call in events:
        if is_call:
            calls += 1
            budget.earn()
        else:
            granted += budget.spend()
        assert granted <= 3 + 0.1 * calls + 1e-9


async def test_two_failures_in_a_row_eject_and_a_real_completion_readmits() -> None:
    engine = FakeEngine()
    async with running(engine) as it:
        engine.alive = False
        for number in range(2):
            task = go(it.complete(call(number), soon(5)))
            await settle()
            engine.streams[-1].fail()
            with pytest.raises(GenerationUnavailable):
                await task
        assert states(it) == {engine.url: "ejected"}
        with pytest.raises(GenerationUnavailable, match="ejected"):
            await it.complete(call(3), soon(5))
        engine.alive = True
        await until(lambda: states(it) == {engine.url: "up"})


async def test_a_success_between_two_failures_keeps_the_engine() -> None:
    engine = FakeEngine()
    async with running(engine) as it:
        for fails in (True, False, True):
            task = go(it.complete(call(1), soon(5)))
            await settle()
            if fails:
                engine.streams[-1].fail()
                with pytest.raises(GenerationUnavailable):
                    await task
            else:
                engine.streams[-1].end("x")
                await task
        assert states(it) == {engine.url: "up"}


async def test_an_engine_that_forgot_its_model_is_ejected_at_once_and_the_call_saved() -> None:
    one, two = FakeEngine("http://one"), FakeEngine("http://two")
    async with running(one, two) as it:
        task = go(it.complete(call(1), soon(5)))
        await settle()
        first, second = (one, two) if one.streams else (two, one)
        first.served = ("other",)
        first.streams[0].fail(EngineUnfit("answered 404: no such model"))
        await settle()
        second.streams[0].end("x")
        assert (await task).engine == second.url
        await until(
            lambda: "serves other" in next(s.reason for s in it.status() if s.url == first.url)
        )


async def test_a_hung_engine_is_ejected_and_its_calls_go_on_elsewhere_or_fail() -> None:
    one, two = FakeEngine("http://one"), FakeEngine("http://two")
    patience = Patience(first_token_grace_s=0.2)
    async with running(one, two, window=1, patience=patience) as it:
        tasks = [go(it.complete(call(n, f"user {n}"), soon(9))) for n in range(4)]
        await settle()
        assert len(one.streams) == len(two.streams) == 1
        # One hangs and would not answer a probe; two speaks all the time.
        one.alive = False
        streaming = two.streams[0]
        while states(it)[one.url] == "up":
            streaming.say("x")
            await asyncio.sleep(0.02)
        assert one.streams[0].aborted
        turn = 0
        while not all(task.done() for task in tasks):
            if turn < len(two.streams):
                two.streams[turn].end("y")
                turn += 1
            await settle()
        assert [(await task).engine for task in tasks] == [two.url] * 4
        assert states(it) == {one.url: "ejected", two.url: "up"}
        one.alive = True
        await until(lambda: states(it)[one.url] == "up")


async def test_a_hung_engine_without_a_twin_fails_its_calls_quickly() -> None:
    engine = FakeEngine()
    async with running(engine, window=1, patience=Patience(first_token_grace_s=0.1)) as it:
        engine.alive = False
        tasks = [go(it.complete(call(n), soon(60))) for n in range(2)]
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, GenerationUnavailable)
            assert "no chunk for" in str(result)


async def test_students_on_one_engine_are_counted_apart() -> None:
    registry, engine = CollectorRegistry(), FakeEngine()
    metrics = Metrics(registry)
    async with running(engine, metrics=metrics, student="a@1") as it:
        tasks = [go(it.complete(call(n), soon(5))) for n in range(2)]
        await settle()
        other = dispatcher(FakeEngine(), metrics=metrics, student="b@1")
        await other.start()
        in_flight = {
            student: registry.get_sample_value(
                "interests_engine_calls_in_flight", {"student": student, "engine": engine.url}
            )
            for student in ("a@1", "b@1")
        }
        for stream in engine.streams:
            stream.end("x")
        await asyncio.gather(*tasks)
        await other.close()
    assert in_flight == {"a@1": 2, "b@1": 0}


async def test_a_closed_engine_leaves_no_series_behind() -> None:
    registry, engine = CollectorRegistry(), FakeEngine()
    async with running(engine, metrics=Metrics(registry)) as it:
        task = go(it.complete(call(1), soon(5)))
        await settle()
        engine.streams[0].end("x")
        await task
        assert engine.url in generate_latest(registry).decode()
    assert engine.url not in generate_latest(registry).decode()


async def test_an_engine_that_two_dispatchers_have_is_shown_once_with_the_calls_of_both() -> None:
    """As while a student's window is changed: its last calls under the old one are in flight."""
    registry, engine = CollectorRegistry(), FakeEngine()
    metrics = Metrics(registry)

    def shown(name: str) -> float | None:
        labels = {"student": "", "engine": engine.url}
        return registry.get_sample_value(f"interests_engine_{name}", labels)

    async with running(engine, metrics=metrics, window=2) as old:
        tasks = [go(old.complete(call(1), soon(5)))]
        await settle()
        new = dispatcher(engine, metrics=metrics, window=5)
        await new.start()
        assert (shown("up"), shown("room")) == (1, 5)
        await until(lambda: new.status()[0].state == "up")
        tasks.append(go(new.complete(call(2), soon(5))))
        await settle()
        assert shown("calls_in_flight") == 2
        for stream in engine.streams:
            stream.end("x")
        await asyncio.gather(*tasks)
        await new.close()
        assert (shown("up"), shown("room")) == (1, 2)
    assert shown("up") is None


async def test_the_metric_says_which_engines_are_up() -> None:
    engine, registry = FakeEngine(), CollectorRegistry()

    def up() -> float | None:
        return registry.get_sample_value(
            "interests_engine_up", {"student": "", "engine": engine.url}
        )

    it = dispatcher(engine, metrics=Metrics(registry))
    assert up() is None
    engine.alive = False
    await it.start()
    assert up() == 0
    engine.alive = True
    await until(lambda: it.status()[0].state == "up")
    assert up() == 1
    engine.alive = False
    for number in range(2):
        task = go(it.complete(call(number), soon(5)))
        await settle()
        engine.streams[-1].fail()
        with pytest.raises(GenerationUnavailable):
            await task
    assert up() == 0
    await it.close()
