"""The bookkeeping of one call: who waits for it, and the attempt that is being made at it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from service.errors import GenerationError
from service.generation.engines.calls import Call, Completion, OnLate
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
        self.samples = StreamedSamples(call.decoding.n, len(call.token_ids))
        self.task: asyncio.Task[None] | None = None
        self._pulse = pulse
        self._clock = asyncio.get_running_loop().time
        self._started_at = self._clock()
        self._heard_at: float | None = None
        pulse.started(self._started_at)

    @property
    def heard(self) -> bool:
        """True once a chunk has come."""
        return self._heard_at is not None

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
        if self.task is not None:
            self.task.cancel()


@dataclass(eq=False, slots=True)
class Job:
    """One distinct call: queued while `attempt` is None, running otherwise."""

    call: Call
    key: Key
    endpoint: Endpoint[Job]
    waiters: set[Waiter]
    late: list[OnLate] = field(default_factory=list)
    tried: set[Endpoint[Job]] = field(default_factory=set)
    attempt: Attempt | None = None
    late_timer: asyncio.TimerHandle | None = None

    @property
    def earliest(self) -> float:
        """The deadline of the most pressing waiter."""
        return min(waiter.until for waiter in self.waiters)

    @property
    def latest(self) -> float:
        """The deadline of the most patient waiter."""
        return max(waiter.until for waiter in self.waiters)

    def stop_late_timer(self) -> None:
        """It is no longer on borrowed time."""
        if self.late_timer is not None:
            self.late_timer.cancel()
            self.late_timer = None
