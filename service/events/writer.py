"""Writes events to their stream, off the path of requests and a batch at a time.

A request leaves its answer here and is done; a task encodes and writes what has gathered. While
Redis is away events wait, `MOST_WAITING` of them; beyond that the oldest are dropped and counted.
The numbers of the request ids show in an export what a killed process took with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from service.errors import EventsUnavailable
from service.events.exposures import ending, exposure
from service.events.streams import (
    ADD,
    EventLimits,
    Kind,
    batch_key,
    partition_of,
    stream_key,
    trail_key,
)
from service.identity import Identity, named
from service.records import InterestAnswer
from service.redis.calls import Calls
from service.redis.running import Arg

log = logging.getLogger(__name__)

GATHER_S = 0.02
"""How long events gather after the first of a batch: written well within 50 ms of the answer."""
MOST_WAITING = 10_000
_BATCH = 200
_CALL_S = 2.0
_PAUSE_S = 0.5
"""Before what Redis did not take is tried again."""
_LAST_S = 3.0
"""Longest that the end of the process waits for what is left."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event that is ready to be written, and whose it is."""

    kind: Kind
    user_id: str
    data: bytes


class NoExposures:
    """Where no events are kept."""

    def expose(self, answer: InterestAnswer) -> None:
        """Nothing is noted."""


class EventWriter:
    """The stream of this process. `wrote` and `dropped` are told a kind and a number of events."""

    def __init__(
        self,
        calls: Calls,
        limits: EventLimits,
        identity: Identity,
        *,
        wrote: Callable[[Kind, int], None],
        dropped: Callable[[Kind, int], None],
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self._calls = calls
        self._limits = limits
        self._identity = identity
        self._partition = partition_of(identity.process)
        self._wrote = wrote
        self._dropped = dropped
        self._now_ms = now_ms
        self._waiting: deque[Event | tuple[InterestAnswer, int]] = deque()
        self._batch: list[Event] = []
        """What is being written: it stays until Redis has acknowledged it."""
        self._number = 0
        self._some = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def expose(self, answer: InterestAnswer) -> None:
        """An answer that is about to leave."""
        self._put((answer, self._now_ms()))

    def put(self, kind: Kind, user_id: str, data: bytes) -> None:
        """Another event of this process."""
        self._put(Event(kind, user_id, data))

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._for_ever(), name="writing events")

    async def stop(self) -> None:
        """Write what is left and that this is the end, as far as Redis takes it in time."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        end = ending(self._now_ms(), self._identity.process, self._identity.sequence)
        self.put(Kind.END, "", end)
        try:
            async with asyncio.timeout(_LAST_S):
                while self._batch or self._waiting:
                    await self._write()
        except (TimeoutError, EventsUnavailable) as error:
            log.warning("events were lost at the end: %s", error or "Redis did not answer in time")
            self._drop_all()

    def _put(self, event: Event | tuple[InterestAnswer, int]) -> None:
        self._waiting.append(event)
        if len(self._waiting) > MOST_WAITING:
            self._count_dropped(self._waiting.popleft())
        self._some.set()

    async def _for_ever(self) -> None:
        while True:
            await self._some.wait()
            await asyncio.sleep(GATHER_S)
            self._some.clear()
            while self._batch or self._waiting:
                try:
                    await self._write()
                except EventsUnavailable:  # said in the log by `Calls`
                    await asyncio.sleep(_PAUSE_S)

    async def _write(self) -> None:
        """Write a batch. The same one again, with the same number, if the last try failed."""
        if not self._batch:
            self._number += 1
            while self._waiting and len(self._batch) < _BATCH:
                self._batch.append(self._encoded(self._waiting.popleft()))
        names = [
            stream_key(self._partition),
            batch_key(self._partition, self._identity.process),
        ]
        args: list[Arg] = [self._limits.kept, self._limits.seconds, self._number]
        for event in self._batch:
            trail = 0
            if event.user_id:
                names.append(trail_key(self._partition, event.user_id))
                trail = len(names)
            args += (str(event.kind), event.data, trail)
        until = asyncio.get_running_loop().time() + _CALL_S
        await self._calls.run(ADD, names, args, until)
        for event in self._batch:
            self._wrote(event.kind, 1)
        self._batch = []

    def _encoded(self, event: Event | tuple[InterestAnswer, int]) -> Event:
        if isinstance(event, Event):
            return event
        answer, at_ms = event
        name = named(answer.request_id)
        data = exposure(answer, at_ms, name.process, name.sequence)
        return Event(Kind.EXPOSURE, answer.user_id, data)

    def _drop_all(self) -> None:
        for event in (*self._batch, *self._waiting):
            self._count_dropped(event)
        self._batch = []
        self._waiting.clear()

    def _count_dropped(self, event: Event | tuple[InterestAnswer, int]) -> None:
        self._dropped(event.kind if isinstance(event, Event) else Kind.EXPOSURE, 1)
