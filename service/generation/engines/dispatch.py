"""From many waiting requests to a few calls in flight: one streamed call a distinct prompt.

complete ─► join an identical call, or pick an engine and queue (earliest deadline first)
             │ a slot of the window is free
             ▼
          running ─► done: every waiter gets the completion
             │
             ├─ a waiter's time is up: it gets what has been streamed, the call may run on late
             ├─ the last waiter has gone: aborted by closing the connection
             ├─ no request waits for it (late, or spare) and one needs its slot: aborted
             └─ failed: on another replica if nothing had come and the retry budget allows
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from service.errors import GenerationTimeout, GenerationUnavailable
from service.generation.engines.calls import Call, Completion, Engine, OnLate, Sample
from service.generation.engines.endpoints import EngineStatus, RetryBudget
from service.generation.engines.fleet import Fleet
from service.generation.engines.health import Patience
from service.generation.engines.jobs import Job, Waiter
from service.telemetry import Metrics

__all__ = [
    "Call",
    "Completion",
    "Dispatcher",
    "EngineStatus",
    "OnLate",
    "Patience",
    "Sample",
    "SpareRoom",
]


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
        student: str = "",
    ) -> None:
        """`student` is the label of its metrics: several may have their calls on one engine."""
        self._fleet = Fleet(
            engines,
            models,
            metrics,
            window=window,
            queue=queue,
            late_s=late_ms / 1000,
            patience=patience or Patience(),
            budget=budget or RetryBudget(),
            student=student,
        )
        self._models = frozenset(models)
        self._keepers: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        fleet = self._fleet
        return (
            f"Dispatcher(engines={len(fleet.endpoints)}, jobs={fleet.in_work}, "
            f"tasks={fleet.running_tasks})"
        )

    async def start(self) -> None:
        """Open the engines' sessions and begin to probe; does not wait until they answer."""
        for endpoint in self._fleet.endpoints:
            await endpoint.open()
            self._keepers.append(asyncio.create_task(endpoint.keep()))

    async def close(self) -> None:
        """Stop at once: whoever still waits gets `GenerationUnavailable`."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers.clear()
        await self._fleet.close()
        for endpoint in self._fleet.endpoints:
            await endpoint.close()

    @property
    def in_work(self) -> int:
        """Distinct calls that are queued, running, or running late."""
        return self._fleet.in_work

    @property
    def pressure(self) -> float:
        """How full the engines that are up are: 0.5 where as many calls are to be served as they
        have room for, 1 where as many more wait."""
        able = [endpoint.lane for endpoint in self._fleet.endpoints if endpoint.is_up]
        room = sum(lane.room.calls for lane in able)
        return sum(lane.outstanding for lane in able) / (2 * room) if able else 0.0

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
        self._check(call, until)
        waiter = Waiter(until, asyncio.get_running_loop().create_future(), on_late)
        fleet = self._fleet
        if (job := fleet.find(call)) is not None:
            fleet.join(job, waiter)
        else:
            job = fleet.submit(call, waiter)
        return await self._answer(job, waiter)

    async def complete_spare(self, call: Call, until: float) -> Completion:
        """Run a call that no user waits for, in room that no request needs.

        As `complete`, but it never queues, gives way to every other call, and what comes of it
        counts neither for nor against the engine. `GenerationOverloaded` also says that it gave
        way, or that another does the same work.
        """
        self._check(call, until)
        answer = asyncio.get_running_loop().create_future()
        waiter = Waiter(until, answer, None, spare=True)
        return await self._answer(self._fleet.submit_spare(call, waiter), waiter)

    def _check(self, call: Call, until: float) -> None:
        if call.model not in self._models:
            raise GenerationUnavailable(f"no engine here serves {call.model!r}")
        if until <= asyncio.get_running_loop().time():
            raise GenerationTimeout("the deadline had passed before the call was made")

    async def _answer(self, job: Job, waiter: Waiter) -> Completion:
        fleet, loop = self._fleet, asyncio.get_running_loop()
        timer = loop.call_at(waiter.until, fleet.expire, job, waiter)
        try:
            return await waiter.answer
        except asyncio.CancelledError:
            fleet.leave(job, waiter)
            raise
        finally:
            timer.cancel()


class SpareRoom:
    """A `Completer` whose calls are all spare: see `Dispatcher.complete_spare`."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    async def complete(self, call: Call, until: float, on_late: OnLate | None = None) -> Completion:
        """Run a call. It ends by `until`, so `on_late` is never called."""
        return await self._dispatcher.complete_spare(call, until)
