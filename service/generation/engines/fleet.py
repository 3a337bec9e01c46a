"""The engines and the jobs on them: queueing, running, retrying, aborting.

`dispatch.py` stands on the callers' side and knows when they come and go; here is what happens to
their work. The state is plain Python, changed only between two awaits on the loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence

from service.errors import GenerationError, GenerationOverloaded, GenerationUnavailable
from service.generation.engines.calls import Completion, Engine, EngineFailed, EngineRefused, OnLate
from service.generation.engines.endpoints import Endpoint, RetryBudget, pick
from service.generation.engines.health import Patience
from service.generation.engines.jobs import Attempt, Job, Key
from service.generation.engines.lane import Lane
from service.telemetry import Metrics

logger = logging.getLogger(__name__)


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
    ) -> None:
        self.endpoints = [
            Endpoint[Job](engine, models, Lane(window, queue), patience, metrics, self._ejected)
            for engine in engines
        ]
        self.jobs: dict[Key, Job] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self._metrics = metrics
        self._late_s = late_s
        self._budget = budget

    def place(self, affinity: str) -> Endpoint[Job]:
        """The endpoint for a user's new job. Raises `GenerationUnavailable` if none is up."""
        endpoint = pick(self.endpoints, affinity)
        if endpoint is None:
            raise GenerationUnavailable(self._why_none())
        return endpoint

    def submit(self, job: Job) -> None:
        """Take a new job. One for which there is no room, it or another, is failed."""
        self.jobs[job.key] = job
        self._budget.earn()
        self._queue(job, job.endpoint)

    def joined(self, job: Job) -> None:
        """A further waiter shares a job."""
        if job.attempt is None:
            job.endpoint.lane.move(job)
        else:
            job.endpoint.lane.revive(job)
            job.stop_late_timer()
        self._count(job, "shared")

    def left(self, job: Job, outcome: str) -> None:
        """A waiter has left a job; `outcome` is how the job ends if that was the last one."""
        lane = job.endpoint.lane
        if job.attempt is None:
            if job.waiters:
                lane.move(job)
            else:
                lane.leave(job)
                self._retire(job, outcome)
        elif not job.waiters:
            if job.late and self._late_s > 0 and lane.run_late(job):
                loop = asyncio.get_running_loop()
                job.late_timer = loop.call_later(self._late_s, self.abort, job, "timeout")
                self._pump(job.endpoint)
            else:
                self.abort(job, outcome)

    def abort(self, job: Job, outcome: str) -> None:
        """Close a running job's connection; nobody waits for it."""
        self._retire(job, outcome)
        if job.attempt is not None:
            if outcome == "timeout":
                job.attempt.cut()
            job.endpoint.lane.abort(job)
            job.attempt.cancel()
            job.attempt = None

    async def close(self) -> None:
        """Fail what is queued, abort what is running, and wait until all connections are shut."""
        for endpoint in self.endpoints:
            endpoint.lane.empty()
        for job in list(self.jobs.values()):
            self._fail(job, GenerationUnavailable("the gateway is stopping"), "aborted")
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    # -- queued, running

    def _queue(self, job: Job, endpoint: Endpoint[Job]) -> None:
        job.endpoint, job.attempt = endpoint, None
        loser = endpoint.lane.offer(job)
        if loser is not None:
            full = f"the queue before {endpoint.url} is full"
            self._fail(loser, GenerationOverloaded(full), "shed")
        self._pump(endpoint)

    def _pump(self, endpoint: Endpoint[Job]) -> None:
        """Start what may start, and shed late calls for those that still wait."""
        lane = endpoint.lane
        now = asyncio.get_running_loop().time()
        for job in lane.hopeless(now, endpoint.pulse.typical_s):
            self._fail(job, GenerationOverloaded("too little time is left to finish"), "shed")
        while (started := lane.start()) is not None:
            self._begin(started, endpoint)
        while (late := lane.shed()) is not None:
            self.abort(late, "shed")

    def _begin(self, job: Job, endpoint: Endpoint[Job]) -> None:
        attempt = Attempt(job.call, endpoint.pulse)
        job.attempt = attempt
        attempt.task = self._spawn(self._run(job, attempt, endpoint))

        # Not a `finally` in the task: one cancelled before its first step never gets there.
        def ended(_: object) -> None:
            attempt.end()
            endpoint.lane.ended(job)
            self._pump(endpoint)

        attempt.task.add_done_callback(ended)

    async def _run(self, job: Job, attempt: Attempt, endpoint: Endpoint[Job]) -> None:
        try:
            await endpoint.engine.stream(job.call, attempt.samples, attempt.on_chunk)
        except EngineFailed as error:
            logger.warning("engine %s %s", endpoint.url, error)
            endpoint.failed(error)
            if job.attempt is attempt:
                self._again_or_fail(job, attempt, error)
        except EngineRefused as error:
            logger.error("engine %s refused a call: %s", endpoint.url, error)
            endpoint.succeeded()
            if job.attempt is attempt:
                self._fail(job, error, "failed")
        except Exception:
            logger.exception("a call to engine %s failed in our own code", endpoint.url)
            if job.attempt is attempt:
                self._fail(job, GenerationUnavailable("the gateway failed the call"), "failed")
        else:
            endpoint.succeeded()
            attempt.complete()
            if job.attempt is attempt:
                self._finish(job, attempt.samples.completion(endpoint.url))

    def _again_or_fail(self, job: Job, attempt: Attempt, error: GenerationError) -> None:
        """An attempt has failed: another replica, if nothing had come and the budget allows."""
        tried = job.endpoint
        job.tried.add(tried)
        other = pick(self.endpoints, job.call.affinity, job.tried)
        if other and job.waiters and not attempt.heard and self._budget.spend():
            self._queue(job, other)
        else:
            self._fail(job, GenerationUnavailable(f"engine {tried.url} {error}"), "failed")

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
        self._retire(job, "done" if job.waiters else "late")
        job.attempt = None
        for waiter in job.waiters:
            waiter.succeed(completion)
        job.waiters.clear()
        for on_late in job.late:
            self._spawn(_deliver(on_late, completion))

    def _fail(self, job: Job, error: GenerationError, outcome: str) -> None:
        self._retire(job, outcome)
        job.attempt = None
        for waiter in job.waiters:
            waiter.fail(error)
        job.waiters.clear()

    def _retire(self, job: Job, outcome: str) -> None:
        """Let nobody join it any more, and count how it ended."""
        job.stop_late_timer()
        if self.jobs.get(job.key) is job:
            del self.jobs[job.key]
            self._count(job, outcome)

    def _count(self, job: Job, outcome: str) -> None:
        self._metrics.engine_calls.labels(job.endpoint.url, outcome).inc()

    def _why_none(self) -> str:
        if not self.endpoints:
            return "no engine is configured"
        return "; ".join(f"engine {e.url} is {e.state}: {e.reason}" for e in self.endpoints)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


async def _deliver(on_late: OnLate, completion: Completion) -> None:
    try:
        await on_late(completion)
    except Exception:
        logger.exception("a late completion could not be delivered")
