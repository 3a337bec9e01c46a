"""The engines and the jobs on them: queueing, running, retrying, aborting.

`dispatch.py` stands on the callers' side and knows when they come and go; here is what happens to
their work. The state is plain Python, changed only between two awaits on the loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextvars import Context

from service.errors import GenerationError, GenerationOverloaded, GenerationUnavailable
from service.generation.engines.calls import (
    Call,
    Completion,
    Engine,
    EngineBusy,
    EngineFailed,
    EngineRefused,
    OnLate,
)
from service.generation.engines.endpoints import Endpoint, RetryBudget
from service.generation.engines.health import Patience
from service.generation.engines.jobs import Attempt, Job, Key, Waiter, key_of
from service.generation.engines.lane import Lane
from service.generation.engines.picking import pick
from service.telemetry import Metrics

logger = logging.getLogger(__name__)

_TICK_S = 0.002


class Fleet:
    """Replicas of one engine, each behind its lane, and every job that is queued or running."""

    def __init__(
        self,
        engines: Sequence[Engine],
        models: Sequence[str],
        metrics: Metrics,
        *,
        window: int,
        queue: int,
        late_s: float,
        patience: Patience,
        budget: RetryBudget,
        student: str,
    ) -> None:
        self.endpoints = [
            Endpoint[Job](
                engine,
                models,
                Lane(window, queue),
                patience,
                metrics,
                self._ejected,
                student=student,
            )
            for engine in engines
        ]
        self._jobs: dict[Key, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._metrics = metrics
        self._student = student
        self._late_s = late_s
        self._budget = budget

    @property
    def in_work(self) -> int:
        """Jobs that have not ended."""
        return len(self._jobs)

    @property
    def running_tasks(self) -> int:
        """Attempts and deliveries under way."""
        return len(self._tasks)

    # -- callers come and go

    def find(self, call: Call) -> Job | None:
        """The job that does this work already."""
        return self._jobs.get(key_of(call))

    def submit(self, call: Call, waiter: Waiter) -> Job:
        """Take new work. A job for which there is no room, this one or another, is failed.

        Raises `GenerationUnavailable` if no endpoint is up.
        """
        endpoint = pick(self.endpoints, call.affinity)
        if endpoint is None:
            raise GenerationUnavailable(self._why_none())
        job = Job(call, endpoint, waiter)
        self._jobs[job.key] = job
        self._budget.earn()
        self._queue(job, endpoint)
        return job

    def join(self, job: Job, waiter: Waiter) -> None:
        """A further waiter shares a job."""
        job.join(waiter)
        if job.attempt is None:
            job.endpoint.lane.move(job)
        else:
            job.endpoint.lane.revive(job)
        self._count(job, "shared")

    def expire(self, job: Job, waiter: Waiter) -> None:
        """A waiter's time is up: it is answered with what there is."""
        if job.expire(waiter):
            self._left(job, "timeout")

    def leave(self, job: Job, waiter: Waiter) -> None:
        """A waiter has gone without its answer."""
        waiter.forget()
        if job.leave(waiter):
            self._left(job, "aborted")

    def _left(self, job: Job, outcome: str) -> None:
        """One waiter less; `outcome` is how the job ends if that was the last one."""
        lane = job.endpoint.lane
        if job.attempt is None:
            if job.wanted:
                lane.move(job)
            else:
                lane.leave(job)
                self._retire(job, outcome)
        elif not job.wanted:
            if job.wanted_late and self._late_s > 0 and lane.run_late(job):
                job.run_late(self._late_s, lambda: self._abort(job, "timeout"))
                self._pump(job.endpoint)
            else:
                self._abort(job, outcome)

    # -- the end of all

    async def close(self) -> None:
        """Fail what is queued, abort what is running, and wait until all connections are shut."""
        for endpoint in self.endpoints:
            endpoint.lane.empty()
        for job in list(self._jobs.values()):
            self._fail(job, GenerationUnavailable("the engines are being closed"), "aborted")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- queued, running

    def _queue(self, job: Job, endpoint: Endpoint[Job]) -> None:
        job.queue_at(endpoint)
        loser = endpoint.lane.offer(job)
        if loser is not None:
            full = f"the queue before {endpoint.url} is full"
            self._fail(loser, GenerationOverloaded(full), "shed")
        self._pump(endpoint)

    def _pump(self, endpoint: Endpoint[Job]) -> None:
        """Start what may start, and shed late calls for those that still wait."""
        lane = endpoint.lane
        now = asyncio.get_running_loop().time()
        if now < lane.room.rests_until:
            return
        for job in lane.hopeless(now, endpoint.pulse.typical_s):
            self._fail(job, GenerationOverloaded("too little time is left to finish"), "shed")
        while (started := lane.start()) is not None:
            self._begin(started, endpoint)
        while (late := lane.shed()) is not None:
            self._abort(late, "shed")

    def _begin(self, job: Job, endpoint: Endpoint[Job]) -> None:
        attempt = Attempt(job.call, endpoint.pulse)
        job.begin(attempt)
        endpoint.begun(attempt.began - job.queued_at)
        task = self._spawn(self._run(job, attempt, endpoint), job.context())
        attempt.runs_as(task)

        # Not a `finally` in the task: one cancelled before its first step never gets there.
        def ended(_: object) -> None:
            attempt.end()
            endpoint.ended(asyncio.get_running_loop().time() - attempt.began)
            endpoint.lane.ended(job)
            if (busy := attempt.turned_away) is not None:
                endpoint.turned_away(busy, attempt.began)
                self._wake(endpoint)
                if job.attempt is attempt:
                    self._wait_for_room(job, endpoint, busy)
            elif job.attempt is attempt:  # nothing has ended it: nobody may wait for ever
                self._fail(job, GenerationUnavailable("the gateway lost the call"), "failed")
            self._pump(endpoint)

        task.add_done_callback(ended)

    async def _run(self, job: Job, attempt: Attempt, endpoint: Endpoint[Job]) -> None:
        try:
            with self._metrics.tracing.span("engine") as span:
                span.note(student=job.call.model, queued_ms=1000 * (attempt.began - job.queued_at))
                await endpoint.engine.stream(job.call, attempt.samples, attempt.on_chunk)
            completion, cut = attempt.samples.completion(endpoint.url), attempt.samples.cut_short
            if cut is not None and not attempt.samples.has_text:
                raise cut
        except EngineFailed as error:
            logger.warning("engine %s %s", endpoint.url, error)
            endpoint.failed(error)
            if job.attempt is attempt:
                self._again_or_fail(job, attempt, error)
        except EngineBusy as error:
            attempt.turned_away = error  # what follows needs its slot to be free
        except EngineRefused as error:
            endpoint.refused(error)
            if job.attempt is attempt:
                self._fail(job, error, "failed")
        except Exception:
            logger.exception("a call to engine %s failed in our own code", endpoint.url)
            if job.attempt is attempt:
                self._fail(job, GenerationUnavailable("the gateway failed the call"), "failed")
        else:
            if isinstance(cut, EngineFailed):
                logger.warning("engine %s %s", endpoint.url, cut)
                endpoint.failed(cut)
            else:
                endpoint.served()
            if completion.finished:
                attempt.complete()
            if job.attempt is attempt:
                self._finish(job, completion)

    def _again_or_fail(self, job: Job, attempt: Attempt, error: GenerationError) -> None:
        """An attempt has failed: another replica, if no text had come and the budget allows."""
        tried = job.endpoint
        job.failed_at(tried)
        other = pick(self.endpoints, job.call.affinity, job.tried)
        if other and job.wanted and not attempt.samples.has_text and self._budget.spend():
            self._queue(job, other)
        else:
            self._fail(job, GenerationUnavailable(f"engine {tried.url} {error}"), "failed")

    def _wake(self, endpoint: Endpoint[Job]) -> None:
        """Look after its queue when it has rested."""
        loop, rests_until = asyncio.get_running_loop(), endpoint.lane.room.rests_until
        if rests_until > loop.time():
            # A little later: timers may fire early by the clock's resolution.
            loop.call_at(rests_until + _TICK_S, self._pump, endpoint)

    def _wait_for_room(self, job: Job, endpoint: Endpoint[Job], busy: EngineBusy) -> None:
        """An engine had no room: another that has some at once, or the queue it came from."""
        self._count(job, "busy")
        other = pick(self.endpoints, job.call.affinity, {*job.tried, endpoint})
        if not job.wanted:
            self._fail(job, busy, "shed")
        elif other is not None and (other.lane.has_room or not endpoint.is_up):
            self._queue(job, other)
        elif endpoint.is_up:
            self._queue(job, endpoint)
        else:
            self._fail(job, GenerationUnavailable(self._why_none()), "failed")

    def _ejected(self, endpoint: Endpoint[Job], hung: bool) -> None:
        """An endpoint has gone out of service: its queue moves, and what hangs on it is cut off."""
        for job in endpoint.lane.empty():
            other = pick(self.endpoints, job.call.affinity, job.tried)
            if other is None:
                self._fail(job, GenerationUnavailable(self._why_none()), "failed")
            else:
                self._queue(job, other)
        for job in endpoint.lane.in_work() if hung else ():
            attempt = job.attempt
            if attempt is not None and job.endpoint is endpoint:
                endpoint.lane.abort(job)
                attempt.cancel()
                self._again_or_fail(job, attempt, EngineFailed(endpoint.reason))

    # -- ends

    def _finish(self, job: Job, completion: Completion) -> None:
        """Its engine has ended it. Only what is whole is delivered late."""
        outcome = "done" if job.wanted else "late"
        self._retire(job, outcome if completion.finished else "cut")
        late = job.succeed(completion)
        for on_late in late if completion.finished else ():
            self._spawn(_deliver(on_late, completion))

    def _fail(self, job: Job, error: GenerationError, outcome: str) -> None:
        """It will never have one."""
        self._retire(job, outcome)
        job.fail(error)

    def _abort(self, job: Job, outcome: str) -> None:
        """Nobody waits for a running job: close its connection."""
        self._retire(job, outcome)
        if (attempt := job.give_up()) is not None:
            if outcome == "timeout":
                attempt.cut()
            if attempt.samples.has_text:
                job.endpoint.partly_served()
            job.endpoint.lane.abort(job)
            attempt.cancel()

    def _retire(self, job: Job, outcome: str) -> None:
        """Let nobody join it any more, and count how it ended."""
        if self._jobs.get(job.key) is job:
            del self._jobs[job.key]
            self._count(job, outcome)

    def _count(self, job: Job, outcome: str) -> None:
        self._metrics.engine_calls.labels(self._student, job.endpoint.url, outcome).inc()

    def _why_none(self) -> str:
        if not self.endpoints:
            return "no engine is configured"
        return "; ".join(f"engine {e.url} is {e.state}: {e.reason}" for e in self.endpoints)

    def _spawn(
        self, work: Coroutine[None, None, None], context: Context | None = None
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _deliver(on_late: OnLate, completion: Completion) -> None:
    try:
        await on_late(completion)
    except Exception:
        logger.exception("a late completion could not be delivered")
