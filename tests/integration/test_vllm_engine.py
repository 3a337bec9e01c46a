"""The dispatcher on a real vLLM: the protocol as the real server speaks it, and its aborts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import orjson
import pytest
from prometheus_client import CollectorRegistry

from service.generation.engines.calls import Call, Completion, EngineRefused
from service.generation.engines.completions import request_body
from service.generation.engines.dispatch import Dispatcher
from service.generation.engines.vllm import VllmEngine
from service.records import Decoding
from service.telemetry import Metrics
from tests.parts.vllm import Engine

pytestmark = pytest.mark.vllm


@asynccontextmanager
async def dispatching(engine: Engine, model: str | None = None) -> AsyncIterator[Dispatcher]:
    before = asyncio.all_tasks()
    model = model or engine.model
    it = Dispatcher([VllmEngine(engine.url)], (model,), Metrics(CollectorRegistry()), window=8)
    await it.start()
    try:
        yield it
    finally:
        await it.close()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() <= before, "a task was left behind"


async def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


def up(it: Dispatcher) -> Callable[[], bool]:
    return lambda: it.status()[0].state == "up"


LONG = (*range(1_500, 1_504),) * 20


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers run to `max_tokens`, where a student would end by itself (vLLM's `ignore_eos`)."""

    def body(call: Call) -> bytes:
        return orjson.dumps({**orjson.loads(request_body(call)), "ignore_eos": True})

    monkeypatch.setattr("service.generation.engines.vllm.request_body", body)


def call(engine: Engine, *ids: int, tokens: int = 12, n: int = 1, heat: float = 0.0) -> Call:
    return Call(ids, engine.model, Decoding(heat, max_tokens=tokens, n=n), "user")


def soon(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_samples_usage_and_the_prefix_cache_are_told(vllm_engine: Engine) -> None:
    async with dispatching(vllm_engine) as it:
        await until(up(it))
        prompt = range(100, 260)
        first = await it.complete(call(vllm_engine, *prompt, n=2, heat=0.8), soon(120))
        assert first.finished
        assert len(first.samples) == 2
        assert first.prompt_tokens == 160
        assert 0 < first.output_tokens <= 24
        longer = await it.complete(call(vllm_engine, *prompt, 300, 301), soon(120))
        assert longer.cached_tokens > 0, "the next prompt of a user extends the last one"


async def test_greedy_calls_sent_together_share_or_agree(vllm_engine: Engine) -> None:
    async with dispatching(vllm_engine) as it:
        await until(up(it))
        made = await asyncio.gather(
            *(it.complete(call(vllm_engine, 500, 600, 700), soon(120)) for _ in range(6))
        )
        assert len(set(made)) == 1


@pytest.mark.usefixtures("endless")
async def test_a_call_whose_last_waiter_has_gone_no_longer_runs(vllm_engine: Engine) -> None:
    async with dispatching(vllm_engine) as it:
        await until(up(it))
        await until(lambda: vllm_engine.in_flight() == 0)
        # A minute's work and more on two cores: it can't be over by itself.
        what = call(vllm_engine, *LONG, tokens=500, n=2, heat=0.1)
        task = asyncio.create_task(it.complete(what, soon(300)))
        await until(lambda: vllm_engine.in_flight() > 0)
        task.cancel()
        left = soon(0)
        # Idle after about 0.1 s where nothing else holds the cores.
        await until(lambda: vllm_engine.in_flight() == 0, seconds=5.0)
        print(f"idle {soon(-left):.2f} s after the last waiter had gone")
        assert it.status()[0].running == 0


@pytest.mark.usefixtures("endless")
async def test_text_streamed_by_the_deadline_is_used_and_the_whole_comes_late(
    vllm_engine: Engine,
) -> None:
    late: asyncio.Queue[Completion] = asyncio.Queue()
    async with dispatching(vllm_engine) as it:
        await until(up(it))
        what = call(vllm_engine, *LONG, tokens=96)
        whole = await it.complete(what, soon(200))
        assert whole.finished
        started = soon(0)
        await it.complete(call(vllm_engine, *LONG, tokens=24), soon(200))
        partial = await it.complete(what, soon(max(0.5, soon(0) - started)), late.put)
        assert not partial.finished
        assert partial.samples[0].text
        assert whole.samples[0].text.startswith(partial.samples[0].text)
        made = await asyncio.wait_for(late.get(), 200)
        assert made.samples == whole.samples


async def test_what_the_engine_will_not_serve_is_refused_in_its_own_words(
    vllm_engine: Engine,
) -> None:
    async with dispatching(vllm_engine) as it:
        await until(up(it))
        with pytest.raises(EngineRefused, match="400"):
            await it.complete(call(vllm_engine, 5, 6, tokens=10_000_000), soon(60))
        assert it.status()[0].state == "up"


async def test_an_engine_that_serves_another_model_is_named_as_such(vllm_engine: Engine) -> None:
    async with dispatching(vllm_engine, model="someone@else") as it:
        await until(lambda: f"serves {vllm_engine.model}" in it.status()[0].reason)
        assert it.status()[0].state == "warming"
