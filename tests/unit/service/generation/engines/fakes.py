"""An engine whose every word is said by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import orjson
from prometheus_client import CollectorRegistry

from service.generation.engines.calls import Call, Completion, EngineFailed, Transcript
from service.generation.engines.dispatch import Dispatcher
from service.generation.engines.endpoints import RetryBudget
from service.generation.engines.health import Patience
from service.records import Decoding
from service.telemetry import Metrics

MODEL = "student"


class Stream:
    """One call in flight: the test speaks, the engine's caller hears."""

    def __init__(self, call: Call, into: Transcript, on_chunk: Callable[[], None]) -> None:
        self.call = call
        self.aborted = False
        self._into = into
        self._on_chunk = on_chunk
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def say(self, text: str, *, reason: str | None = None, index: int = 0) -> None:
        choice = {"index": index, "text": text, "finish_reason": reason}
        self._into.add(orjson.dumps({"choices": [choice]}))
        self._on_chunk()

    def end(self, text: str = "", reason: str = "stop") -> None:
        self.say(text, reason=reason)
        usage = {
            "prompt_tokens": len(self.call.token_ids),
            "completion_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 2},
        }
        self._into.add(orjson.dumps({"choices": [], "usage": usage}))
        self._into.add(b"[DONE]")
        self.over.set_result(None)

    def fail(self, error: Exception | None = None) -> None:
        self.over.set_exception(error or EngineFailed("connection failed: reset"))


class FakeEngine:
    """Implements `Engine`. Probes answer by themselves while `alive`."""

    def __init__(self, url: str = "http://one", served: tuple[str, ...] = (MODEL,)) -> None:
        self.url = url
        self.served = served
        self.alive = True
        self.streams: list[Stream] = []
        self.running = 0
        self.most_running = 0
        self.opened = False

    async def open(self) -> None:
        self.opened = True

    async def close(self) -> None:
        self.opened = False

    async def models(self) -> tuple[str, ...]:
        if not self.alive:
            raise EngineFailed("connection failed: refused")
        return self.served

    async def stream(self, call: Call, into: Transcript, on_chunk: Callable[[], None]) -> None:
        stream = Stream(call, into, on_chunk)
        if call.token_ids == (1,):
            if not self.alive:
                raise EngineFailed("connection failed: refused")
            stream.end("x")
            return
        self.streams.append(stream)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await stream.over
        except asyncio.CancelledError:
            stream.aborted = True
            raise
        finally:
            self.running -= 1

    @property
    def prompts(self) -> list[int]:
        """Which calls have been started, in order, by the last id of the prompt."""
        return [stream.call.token_ids[-1] for stream in self.streams]


def call(number: int, affinity: str = "user") -> Call:
    return Call((5, 6, number), MODEL, Decoding(max_tokens=8), affinity)


def dispatcher(
    *engines: FakeEngine,
    window: int = 2,
    queue: int = 8,
    late_ms: int = 10_000,
    patience: Patience | None = None,
    budget: RetryBudget | None = None,
    metrics: Metrics | None = None,
    student: str = "",
) -> Dispatcher:
    return Dispatcher(
        engines,
        (MODEL,),
        metrics or Metrics(CollectorRegistry()),
        window=window,
        queue=queue,
        late_ms=late_ms,
        patience=patience,
        budget=budget,
        student=student,
    )


def go(work: Coroutine[Any, Any, Completion]) -> asyncio.Task[Completion]:
    return asyncio.create_task(work)


@asynccontextmanager
async def running(*engines: FakeEngine, **options: Any) -> AsyncIterator[Dispatcher]:
    """A dispatcher with its engines admitted; leaves no task, no call and no connection behind."""
    before = asyncio.all_tasks()
    it = dispatcher(*engines, **options)
    await ready(it)
    try:
        yield it
    finally:
        await it.close()
        await settle()
        assert asyncio.all_tasks() <= before, "a task was left behind"
        assert repr(it) == f"Dispatcher(engines={len(engines)}, jobs=0, tasks=0)"
        assert not any(engine.opened for engine in engines)


async def settle(turns: int = 12) -> None:
    """Let everything that is ready run."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def ready(it: Dispatcher) -> None:
    """Start it and wait until every engine is admitted."""
    await it.start()
    await until(lambda: all(status.state == "up" for status in it.status()))


async def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something holds; the limit only ends a test that would hang."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


def soon(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds
