"""From many waiting requests to a few calls in flight: one streamed call a distinct prompt.

complete ─► join an identical call, or pick an engine and queue (earliest deadline first)
             │ a slot of the window is free
             ▼
          running ─► done: every waiter gets the completion
             │
             ├─ a waiter's time is up: it gets what has been streamed, the call may run on late
             ├─ the last waiter has gone: aborted by closing the connection
             └─ failed: on another replica if nothing had come and the retry budget allows
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from service.errors import GenerationOverloaded, GenerationTimeout, GenerationUnavailable
from service.generation.engines.calls import Call, Completion, Engine, OnLate, Sample
from service.generation.engines.endpoints import EngineStatus, RetryBudget
from service.generation.engines.fleet import Fleet
from service.generation.engines.health import Patience
from service.generation.engines.jobs import Job, Waiter, key_of
from service.telemetry import Metrics

__all__ = ["Call", "Completion", "Dispatcher", "EngineStatus", "OnLate", "Patience", "Sample"]


class Dispatcher:
    """Replicas of one engine behind a window and a queue each.

    `models` are the names that every replica must serve; `window` calls run on each at once and
    `queue` may wait before it; a call whose callers have been answered may run on for `late_ms`,
    in at most a quarter of the window.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        models: Sequence[str],
        metrics: Metrics,
        *,
        window: int = 32,
        queue: int = 128,
        late_ms: int = 20_000,
        patience: Patience | None = None,
        budget: RetryBudget | None = None,
    ) -> None:
        self._fleet = Fleet(
            engines,
            models,
            metrics,
            window=window,
            queue=queue,
            late_s=late_ms / 1000,
            patience=patience or Patience(),
            budget=budget or RetryBudget(),
        )
        self._models = frozenset(models)
        self._keepers: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        jobs, tasks = len(self._fleet.jobs), len(self._fleet.tasks)
        return f"Dispatcher(engines={len(self._fleet.endpoints)}, jobs={jobs}, tasks={tasks})"

    async def start(self) -> None:
        """Open the engines' sessions and begin to probe; does not wait until they answer."""
        for endpoint in self._fleet.endpoints:
            await endpoint.engine.open()
            self._keepers.append(asyncio.create_task(endpoint.keep()))

    async def drain(self) -> None:
        """Wait until nobody waits for a call any more; then give up the late ones."""
        fleet = self._fleet
        while waiting := [w.answer for job in fleet.jobs.values() for w in job.waiters]:
            await asyncio.wait(waiting)
        for job in list(fleet.jobs.values()):
            fleet.abort(job, "shed")
        if fleet.tasks:
            await asyncio.wait(fleet.tasks)

    async def close(self) -> None:
        """Stop at once: whoever still waits gets `GenerationUnavailable`."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers.clear()
        await self._fleet.close()
        for endpoint in self._fleet.endpoints:
            await endpoint.engine.close()

    def status(self) -> list[EngineStatus]:
        """Every engine as it stands."""
        return [endpoint.status() for endpoint in self._fleet.endpoints]

    async def complete(self, call: Call, until: float, on_late: OnLate | None = None) -> Completion:
        """Run a call, or share an identical one, until `until` (event-loop clock, seconds).

        At `until` the caller gets the text so far, `finished` False. If `on_late` is given the
        call may then run on, and `on_late` is called with the whole completion.

        Raises `GenerationTimeout` (nothing had come), `GenerationOverloaded` (the queue is full,
        or the call could not start in time), `GenerationUnavailable` (no engine in service, or
        it broke off), `EngineRefused` (the engine will not serve this call).
        """
        loop = asyncio.get_running_loop()
        if call.model not in self._models:
            raise GenerationUnavailable(f"no engine here serves {call.model!r}")
        if until <= loop.time():
            raise GenerationTimeout("the deadline had passed before the call was made")
        waiter = Waiter(until, loop.create_future(), on_late)
        job = self._join(call, waiter)
        timer = loop.call_at(until, self._time_is_up, job, waiter)
        try:
            return await waiter.answer
        except asyncio.CancelledError:
            self._gone(job, waiter)
            raise
        finally:
            timer.cancel()

    def _join(self, call: Call, waiter: Waiter) -> Job:
        key = key_of(call)
        job = self._fleet.jobs.get(key)
        if job is not None:
            job.waiters.add(waiter)
            self._fleet.joined(job)
        else:
            job = Job(call, key, self._fleet.place(call.affinity), {waiter})
            self._fleet.submit(job)
        return job

    def _time_is_up(self, job: Job, waiter: Waiter) -> None:
        if waiter not in job.waiters:
            return
        job.waiters.discard(waiter)
        if job.attempt is None:
            waiter.fail(GenerationOverloaded("the call could not be started in time"))
        else:
            so_far = job.attempt.samples
            partial = so_far.completion(job.endpoint.url)
            if so_far.has_text:
                waiter.succeed(partial)
            else:
                waiter.fail(GenerationTimeout("the engine had sent nothing when time was up"))
            if waiter.on_late is not None and not partial.finished:
                job.late.append(waiter.on_late)
        self._fleet.left(job, "timeout")

    def _gone(self, job: Job, waiter: Waiter) -> None:
        waiter.forget()
        if waiter in job.waiters:
            job.waiters.discard(waiter)
            self._fleet.left(job, "aborted")
