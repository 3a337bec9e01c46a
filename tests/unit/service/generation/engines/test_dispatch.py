"""Callers, jobs and one engine."""

from __future__ import annotations

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from service.errors import (
    GenerationError,
    GenerationOverloaded,
    GenerationTimeout,
    GenerationUnavailable,
)
from service.generation.engines.calls import Call, Completion, EngineRefused
from service.records import Decoding
from service.telemetry import Metrics
from tests.parts.metrics import total
from tests.unit.service.generation.engines.fakes import (
    MODEL,
    FakeEngine,
    call,
    go,
    running,
    settle,
    soon,
    until,
)

pytestmark = pytest.mark.jumping_clock


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


class Late:
    """Where late completions go."""

    def __init__(self) -> None:
        self.lists: list[Completion] = []

    async def keep(self, completion: Completion) -> None:
        self.lists.append(completion)


def outcomes(metrics: Metrics, engine: FakeEngine) -> dict[str, float]:
    """How many calls to the engine ended in which way."""
    return {
        sample.labels["outcome"]: sample.value
        for metric in metrics.engine_calls.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["engine"] == engine.url
    }


async def test_a_call_is_answered_with_its_samples_and_usage(metrics: Metrics) -> None:
    engine = FakeEngine()
    async with running(engine, metrics=metrics) as it:
        task = go(it.complete(call(7), soon(5)))
        await settle()
        engine.streams[0].say("storm ")
        engine.streams[0].end("harbour")
        made = await task
        assert made.samples[0].text == "storm harbour"
        assert made.finished
        assert (made.prompt_tokens, made.cached_tokens, made.output_tokens) == (3, 2, 7)
        assert made.engine == engine.url
        assert outcomes(metrics, engine) == {"done": 1}


async def test_the_window_is_never_exceeded_and_the_queue_is_served_by_deadline() -> None:
    engine = FakeEngine()
    async with running(engine, window=2) as it:
        deadlines = {10: 5, 11: 5, 12: 9, 13: 7, 14: 8, 15: 6}
        tasks = [go(it.complete(call(n), soon(s))) for n, s in deadlines.items()]
        await settle()
        assert engine.prompts == [10, 11]
        for turn in range(len(tasks)):
            engine.streams[turn].end("x")
            await settle()
        assert engine.prompts == [10, 11, 15, 13, 14, 12]
        assert engine.most_running == 2
        assert all(made.finished for made in await asyncio.gather(*tasks))


async def test_waiting_running_and_the_fill_of_the_room_are_measured(metrics: Metrics) -> None:
    engine = FakeEngine()
    async with running(engine, window=2, metrics=metrics) as it:
        tasks = [go(it.complete(call(n), soon(60))) for n in range(3)]
        await settle()
        await asyncio.sleep(3)
        for turn in range(3):
            engine.streams[turn].end("x")
            await settle()
        await asyncio.gather(*tasks)
        text = generate_latest(metrics.registry).decode()
    queue, took, fill = (
        f"interests_engine_{name}" for name in ("queue_seconds", "call_seconds", "batch_fill_ratio")
    )
    assert [total(text, f"{name}_count") for name in (queue, took, fill)] == [3, 3, 3]
    assert total(text, f"{queue}_sum") == pytest.approx(3, abs=0.1)  # two at once, one after 3 s
    assert total(text, f"{took}_sum") == pytest.approx(6, abs=0.1)
    assert total(text, f"{fill}_sum") == pytest.approx(0.5 + 1 + 1)


async def test_an_identical_prompt_in_flight_shares_one_call(metrics: Metrics) -> None:
    engine = FakeEngine()
    async with running(engine, metrics=metrics) as it:
        first = go(it.complete(call(1, "ann"), soon(5)))
        await settle()
        second = go(it.complete(call(1, "bob"), soon(5)))
        await settle()
        assert engine.prompts == [1]
        engine.streams[0].end("same")
        assert await first == await second
        assert outcomes(metrics, engine) == {"done": 1, "shared": 1}


async def test_other_decoding_is_another_call() -> None:
    engine = FakeEngine()
    async with running(engine) as it:
        hot = Call(call(1).token_ids, MODEL, Decoding(temperature=1.0), "user")
        tasks = [go(it.complete(c, soon(5))) for c in (call(1), hot)]
        await settle()
        assert len(engine.streams) == 2
        for stream in engine.streams:
            stream.end("x")
        await asyncio.gather(*tasks)


async def test_a_shared_call_in_the_queue_takes_the_earliest_deadline_of_those_who_stay() -> None:
    engine = FakeEngine()
    async with running(engine, window=1) as it:
        held = go(it.complete(call(0), soon(20)))
        patient = go(it.complete(call(1), soon(9)))
        middle = go(it.complete(call(2), soon(8)))
        pressing = go(it.complete(call(1), soon(7)))
        await settle()
        hasty = go(it.complete(call(3), soon(8.5)))
        doomed = go(it.complete(call(3), soon(1)))
        await settle()
        doomed.cancel()
        await settle()
        for turn in range(4):
            engine.streams[turn].end("x")
            await settle()
        assert engine.prompts == [0, 1, 2, 3]
        await asyncio.gather(held, patient, middle, pressing, hasty)


async def test_each_waiter_of_a_shared_call_keeps_its_own_deadline() -> None:
    engine = FakeEngine()
    async with running(engine) as it:
        short = go(it.complete(call(1), soon(0.05)))
        long = go(it.complete(call(1), soon(5)))
        await settle()
        engine.streams[0].say("storm\n")
        partial = await short
        assert (partial.finished, partial.samples[0].text) == (False, "storm\n")
        engine.streams[0].end("harbour")
        whole = await long
        assert (whole.finished, whole.samples[0].text) == (True, "storm\nharbour")


async def test_a_full_queue_refuses_the_latest_deadline(metrics: Metrics) -> None:
    engine = FakeEngine()
    async with running(engine, window=1, queue=1, metrics=metrics) as it:
        held = go(it.complete(call(0), soon(5)))
        patient = go(it.complete(call(1), soon(9)))
        await settle()
        pressing = go(it.complete(call(2), soon(4)))
        with pytest.raises(GenerationOverloaded, match="full"):
            await patient
        with pytest.raises(GenerationOverloaded, match="full"):
            await it.complete(call(3), soon(9))
        engine.streams[0].end("x")
        await settle()
        engine.streams[1].end("x")
        await asyncio.gather(held, pressing)
        assert outcomes(metrics, engine) == {"done": 2, "shed": 2}


async def test_a_waiter_whose_time_passes_in_the_queue_was_never_started() -> None:
    engine = FakeEngine()
    async with running(engine, window=1) as it:
        held = go(it.complete(call(0), soon(5)))
        await settle()
        with pytest.raises(GenerationOverloaded, match="started in time"):
            await it.complete(call(1), soon(0.03))
        assert it.status()[0].waiting == 0
        engine.streams[0].end("x")
        await held
        assert engine.prompts == [0]


async def test_a_cancelled_waiter_leaves_the_queue() -> None:
    engine = FakeEngine()
    async with running(engine, window=1) as it:
        held = go(it.complete(call(0), soon(5)))
        gone = go(it.complete(call(1), soon(5)))
        await settle()
        assert it.status()[0].waiting == 1
        gone.cancel()
        await settle()
        assert it.status()[0].waiting == 0
        engine.streams[0].end("x")
        await held
        assert engine.prompts == [0]


async def test_the_call_is_aborted_when_its_last_waiter_has_gone_and_not_before(
    metrics: Metrics,
) -> None:
    engine = FakeEngine()
    async with running(engine, metrics=metrics) as it:
        one = go(it.complete(call(1), soon(5)))
        two = go(it.complete(call(1), soon(5)))
        await settle()
        one.cancel()
        await settle()
        assert not engine.streams[0].aborted
        two.cancel()
        await settle()
        assert engine.streams[0].aborted
        assert it.status()[0].running == 0
        assert outcomes(metrics, engine) == {"aborted": 1, "shared": 1}


async def test_a_call_cancelled_before_its_task_began_frees_its_slot() -> None:
    engine = FakeEngine()
    async with running(engine, window=1) as it:
        gone = go(it.complete(call(1), soon(5)))
        await asyncio.sleep(0)
        gone.cancel()
        await settle()
        assert it.status()[0].running == 0
        task = go(it.complete(call(2), soon(5)))
        await settle()
        engine.streams[-1].end("x")
        assert (await task).finished


async def test_the_same_prompt_asked_again_while_its_abort_is_under_way_is_a_new_call() -> None:
    engine = FakeEngine()
    async with running(engine) as it:
        gone = go(it.complete(call(1), soon(5)))
        await settle()
        gone.cancel()
        await asyncio.sleep(0)
        again = go(it.complete(call(1), soon(5)))
        await settle()
        assert engine.streams[0].aborted
        engine.streams[1].end("x")
        assert (await again).finished


async def test_nothing_streamed_by_the_deadline_is_a_timeout_and_frees_the_slot(
    metrics: Metrics,
) -> None:
    engine = FakeEngine()
    async with running(engine, metrics=metrics) as it:
        with pytest.raises(GenerationTimeout):
            await it.complete(call(1), soon(0.03))
        await settle()
        assert engine.streams[0].aborted
        assert outcomes(metrics, engine) == {"timeout": 1}
        with pytest.raises(GenerationTimeout):
            await it.complete(call(1), soon(-1))


async def test_a_late_completion_is_delivered_and_its_slot_freed(metrics: Metrics) -> None:
    engine, late = FakeEngine(), Late()
    async with running(engine, window=4, metrics=metrics) as it:
        with pytest.raises(GenerationTimeout):
            await it.complete(call(1), soon(0.03), late.keep)
        assert not engine.streams[0].aborted
        engine.streams[0].end("late list")
        await settle()
        assert [made.samples[0].text for made in late.lists] == ["late list"]
        assert it.status()[0].running == 0
        assert outcomes(metrics, engine) == {"late": 1}


async def test_an_error_in_delivering_a_late_completion_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = FakeEngine()

    async def broken(_: Completion) -> None:
        raise RuntimeError("the store is away")

    async with running(engine) as it:
        with pytest.raises(GenerationTimeout):
            await it.complete(call(1), soon(0.03), broken)
        with caplog.at_level(logging.ERROR):
            engine.streams[0].end("late")
            await settle()
        assert "could not be delivered" in caplog.text


async def test_a_late_call_ends_after_late_ms(metrics: Metrics) -> None:
    engine, late = FakeEngine(), Late()
    async with running(engine, late_ms=40, metrics=metrics) as it:
        with pytest.raises(GenerationTimeout):
            await it.complete(call(1), soon(0.02), late.keep)
        answered = soon(0)
        await until(lambda: engine.streams[0].aborted)
        assert 0.04 <= soon(0) - answered < 0.05
        assert outcomes(metrics, engine) == {"timeout": 1}
    assert late.lists == []


async def test_late_calls_hold_a_quarter_of_the_slots_and_are_shed_for_live_ones(
    metrics: Metrics,
) -> None:
    engine, late = FakeEngine(), Late()
    async with running(engine, window=4, metrics=metrics) as it:
        tasks = [go(it.complete(call(n), soon(0.03), late.keep)) for n in range(4)]
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, GenerationTimeout)
        await settle()
        assert [stream.aborted for stream in engine.streams].count(False) == 1
        live = [go(it.complete(call(n), soon(5))) for n in range(10, 13)]
        await settle()
        assert [stream.aborted for stream in engine.streams[:4]].count(False) == 1
        live.append(go(it.complete(call(13), soon(5))))
        await settle()
        assert all(stream.aborted for stream in engine.streams[:4]), "shed for a live call"
        for stream in engine.streams[4:]:
            stream.end("x")
        assert all(made.finished for made in await asyncio.gather(*live))
        assert late.lists == []
        assert outcomes(metrics, engine)["shed"] == 1
        assert engine.most_running == 4


async def test_a_caller_may_join_a_late_call_and_bring_it_back_to_life() -> None:
    engine, late = FakeEngine(), Late()
    async with running(engine, window=1, late_ms=60) as it:
        with pytest.raises(GenerationTimeout):
            await it.complete(call(1), soon(0.02), late.keep)
        again = go(it.complete(call(1), soon(5)))
        other = go(it.complete(call(2), soon(5)))
        await asyncio.sleep(0.1)
        assert not engine.streams[0].aborted, "neither shed nor out of its borrowed time"
        engine.streams[0].end("x")
        await settle()
        engine.streams[1].end("y")
        assert (await again).finished
        assert (await other).finished
        assert len(late.lists) == 1


async def test_a_caller_that_left_by_itself_wants_no_late_list() -> None:
    engine, late = FakeEngine(), Late()
    async with running(engine) as it:
        gone = go(it.complete(call(1), soon(5), late.keep))
        await settle()
        gone.cancel()
        await settle()
        assert engine.streams[0].aborted
    assert late.lists == []


async def test_a_refused_call_is_not_tried_again() -> None:
    one, two = FakeEngine("http://one"), FakeEngine("http://two")
    async with running(one, two) as it:
        task = go(it.complete(call(1), soon(5)))
        await settle()
        [stream] = one.streams + two.streams
        stream.fail(EngineRefused("answered 400: the prompt is too long"))
        with pytest.raises(EngineRefused, match="too long"):
            await task
        assert len(one.streams + two.streams) == 1
        assert all(status.state == "up" for status in it.status())


async def test_a_model_that_no_engine_here_serves_is_unavailable() -> None:
    async with running(FakeEngine()) as it:
        with pytest.raises(GenerationUnavailable, match="other"):
            await it.complete(Call((1, 2), "other", Decoding(), "u"), soon(1))


async def test_without_engines_the_answer_is_immediate() -> None:
    async with running() as it:
        with pytest.raises(GenerationUnavailable, match="no engine is configured"):
            await it.complete(call(1), soon(5))


async def test_closing_answers_all_who_wait() -> None:
    engine = FakeEngine()
    async with running(engine, window=1) as it:
        tasks = [go(it.complete(call(n), soon(5))) for n in range(3)]
        await settle()
        await it.close()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, GenerationUnavailable)
        assert engine.prompts == [0]


async def test_a_storm_of_callers_that_come_and_go_leaves_no_call_and_no_task_behind() -> None:
    engine = FakeEngine()
    async with running(engine, window=3, queue=5) as it:
        tasks = [go(it.complete(call(n % 11), soon(0.02 + n % 5 / 100))) for n in range(60)]
        for turn in range(40):
            await asyncio.sleep(0.002)
            tasks[turn].cancel()
            for stream in engine.streams:
                if not stream.over.done() and stream.call.token_ids[-1] % 2:
                    stream.end("x")
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            assert isinstance(result, Completion | GenerationError | asyncio.CancelledError)
        await until(lambda: it.status()[0].running == 0)
        assert it.status()[0].waiting == 0
        assert repr(it) == "Dispatcher(engines=1, jobs=0, tasks=0)"
        assert engine.running == 0
        assert engine.most_running == 3
