"""The bookkeeping of one call: who waits for it, and the attempt that is being made at it.

A job changes by its own methods alone. `fleet.py` calls those that queue, begin, move and end it;
nobody else ends one.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Collection
from dataclasses import dataclass

from service.errors import GenerationError, GenerationOverloaded, GenerationTimeout
from service.generation.engines.calls import Call, Completion, EngineBusy, OnLate
from service.generation.engines.completions import StreamedSamples
from service.generation.engines.endpoints import Endpoint
from service.generation.engines.health import Pulse
from service.records import Decoding

Key = tuple[tuple[int, ...], str, Decoding]


def key_of(call: Call) -> Key:
    """What makes two calls the same work: everything but who asks."""
    return call.token_ids, call.model, call.decoding


@dataclass(eq=False, slots=True)
class Waiter:
    """One caller: its deadline, the answer it awaits, and what to do with a late one."""

    until: float
    answer: asyncio.Future[Completion]
    on_late: OnLate | None
    spare: bool = False
    """Whether no user waits behind it: its work gives way to all other."""

    def succeed(self, completion: Completion) -> None:
        """Answer with a completion, whole or partial."""
        if not self.answer.done():
            self.answer.set_result(completion)

    def fail(self, error: GenerationError) -> None:
        """Answer with an error: each waiter gets its own, since tracebacks grow on them."""
        if not self.answer.done():
            self.answer.set_exception(type(error)(str(error)))

    def forget(self) -> None:
        """The caller was cancelled: an error it will never see must not be reported as lost."""
        if self.answer.done() and not self.answer.cancelled():
            self.answer.exception()


class Attempt:
    """One run of a call on one engine, telling the engine's pulse what it hears."""

    def __init__(self, call: Call, pulse: Pulse) -> None:
        decoding = call.decoding
        self.samples = StreamedSamples(decoding.n, len(call.token_ids), decoding.max_tokens)
        self._task: asyncio.Task[None] | None = None
        self._pulse = pulse
        self._clock = asyncio.get_running_loop().time
        self._started_at = self._clock()
        self.turned_away: EngineBusy | None = None
        """Set where the engine had no room for it."""
        self._heard_at: float | None = None
        pulse.started(self._started_at)

    @property
    def began(self) -> float:
        """When it was sent."""
        return self._started_at

    @property
    def heard(self) -> bool:
        """True once a chunk has come."""
        return self._heard_at is not None

    def runs_as(self, task: asyncio.Task[None]) -> None:
        """The task that does it, which `cancel` ends."""
        self._task = task

    def on_chunk(self) -> None:
        """Data has come."""
        now = self._clock()
        if self._heard_at is None:
            self._pulse.first(now, now - self._started_at)
        else:
            self._pulse.next(now, now - self._heard_at)
        self._heard_at = now

    def complete(self) -> None:
        """The call came to its proper end."""
        now = self._clock()
        self._pulse.completed(now, now - self._started_at)

    def cut(self) -> None:
        """The call's time was up before its end."""
        now = self._clock()
        self._pulse.cut(now, now - self._started_at)

    def end(self) -> None:
        """The attempt is over, whatever its end."""
        self._pulse.ended(self._clock(), had_chunk=self.heard)

    def cancel(self) -> None:
        """Close its connection."""
        if self._task is not None:
            self._task.cancel()


class Job:
    """One distinct call: queued while `attempt` is None, running otherwise, over once it ended."""

    def __init__(self, call: Call, endpoint: Endpoint[Job], waiter: Waiter) -> None:
        self.call = call
        self.key = key_of(call)
        self._endpoint = endpoint
        self._attempt: Attempt | None = None
        self._waiters = set[Waiter]() if waiter.spare else {waiter}
        self._spare = waiter if waiter.spare else None
        self.is_spare = waiter.spare
        """Whether no request has wanted it so far. What comes of it then says nothing of the
        engine: it may ask for what no request asks for."""
        self._late: list[OnLate] = []
        self._tried: set[Endpoint[Job]] = set()
        self._late_timer: asyncio.TimerHandle | None = None
        self._queued_at = 0.0
        self._context = contextvars.copy_context()

    def context(self) -> contextvars.Context:
        """What the request that brought it runs in: its trace. Whoever begins it may be another."""
        return self._context.copy()

    @property
    def queued_at(self) -> float:
        """When it was put into the queue that it is or was in, on the loop's clock."""
        return self._queued_at

    @property
    def endpoint(self) -> Endpoint[Job]:
        """Where it is queued or running."""
        return self._endpoint

    @property
    def attempt(self) -> Attempt | None:
        """The run that is under way."""
        return self._attempt

    @property
    def tried(self) -> Collection[Endpoint[Job]]:
        """Endpoints that have failed it."""
        return self._tried

    @property
    def wanted(self) -> bool:
        """Whether a request waits for it."""
        return bool(self._waiters)

    @property
    def wanted_late(self) -> bool:
        """Whether anybody who has been answered would take the whole completion later."""
        return bool(self._late)

    @property
    def answers(self) -> list[asyncio.Future[Completion]]:
        """What its waiters await."""
        return [waiter.answer for waiter in self._waiters]

    @property
    def earliest(self) -> float:
        """The deadline of the most pressing waiter."""
        return min(waiter.until for waiter in self._waiters)

    @property
    def latest(self) -> float:
        """The deadline of the most patient waiter."""
        return max(waiter.until for waiter in self._waiters)

    # -- callers come and go

    def join(self, waiter: Waiter) -> None:
        """One more waits for it; it is no longer on borrowed time."""
        self._waiters.add(waiter)
        self.is_spare = False
        self._stop_late_timer()

    def leave(self, waiter: Waiter) -> bool:
        """A caller has gone. False where it had been answered already."""
        if waiter is self._spare:
            self._spare = None
            return True
        if waiter not in self._waiters:
            return False
        self._waiters.discard(waiter)
        return True

    def expire(self, waiter: Waiter) -> bool:
        """A waiter's time is up: it gets what has come. False where it had been answered already.

        If it would take the whole completion late, that is noted.
        """
        if not self.leave(waiter):
            return False
        if self._attempt is None:
            waiter.fail(GenerationOverloaded("the call could not be started in time"))
            return True
        so_far = self._attempt.samples
        partial = so_far.completion(self._endpoint.url)
        if so_far.has_text:
            waiter.succeed(partial)
        else:
            waiter.fail(GenerationTimeout("the engine had sent nothing when time was up"))
        if waiter.on_late is not None and not partial.finished:
            self._late.append(waiter.on_late)
        return True

    # -- the fleet moves it on

    def queue_at(self, endpoint: Endpoint[Job]) -> None:
        """It waits before this endpoint, for the first time or once more."""
        self._endpoint, self._attempt = endpoint, None
        self._queued_at = asyncio.get_running_loop().time()

    def begin(self, attempt: Attempt) -> None:
        """It runs."""
        self._attempt = attempt

    def failed_at(self, endpoint: Endpoint[Job]) -> None:
        """This endpoint is not to be tried again."""
        self._tried.add(endpoint)

    def run_late(self, seconds: float, give_up: Callable[[], None]) -> None:
        """Nobody waits any more: it may go on for so long, then `give_up` is called."""
        self._late_timer = asyncio.get_running_loop().call_later(seconds, give_up)

    # -- its ends

    def succeed(self, completion: Completion) -> list[OnLate]:
        """Give the completion to all who wait. Returns those who would take it late."""
        for waiter in self._all_gone():
            waiter.succeed(completion)
        return self._late

    def fail(self, error: GenerationError) -> None:
        """Give the error to all who wait."""
        for waiter in self._all_gone():
            waiter.fail(error)

    def give_up(self) -> Attempt | None:
        """No request waits for it. Returns the attempt that is to be cancelled."""
        attempt = self._attempt
        self.fail(GenerationOverloaded("it gave way to requests"))
        return attempt

    def _all_gone(self) -> list[Waiter]:
        """All who wait, whom it leaves."""
        self._end()
        everyone = [*self._waiters, *([self._spare] if self._spare else [])]
        self._waiters.clear()
        self._spare = None
        return everyone

    def _end(self) -> None:
        self._stop_late_timer()
        self._attempt = None

    def _stop_late_timer(self) -> None:
        if self._late_timer is not None:
            self._late_timer.cancel()
            self._late_timer = None
