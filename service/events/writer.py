"""Writes events to their stream, off the path of requests and a batch at a time.

A request leaves its answer here and is done. The answer is encoded as soon as the event loop has
sent it, since an answer with all its hits is a hundred times as large, and a task writes what has
gathered. While Redis is away events wait, `MOST_BYTES` of them; beyond that the oldest are dropped
and counted. The numbers of the request ids show in an export what a killed process took with it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from service.errors import EventsUnavailable
from service.events.exposures import ending, exposure
from service.events.shadows import shadow
from service.events.streams import (
    ADD,
    EventLimits,
    Kind,
    batch_key,
    partition_of,
    stream_key,
    user_keys,
)
from service.identity import Identity, named
from service.records import InterestAnswer, ShadowAnswer
from service.redis.calls import Calls
from service.redis.running import Arg

log = logging.getLogger(__name__)

GATHER_S = 0.05
"""How long events gather after the first of a batch. A call to Redis costs as much as several
exposures, so it pays to wait; a killed process loses no more than this."""
MOST_BYTES = 33_554_432
"""About 7,000 exposures of a hundred candidates."""
_BATCH = 100
"""Events in one call: Redis serves nobody else meanwhile."""
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
    read_ms: int
    """When the user's data was read: it is not written if the user has been deleted since."""


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
        self._waiting: deque[Event] = deque()
        self._bytes = 0
        """Of the objects that wait."""
        self._batch: list[Event] = []
        """What is being written: it stays until Redis has acknowledged it."""
        self._number = 0
        self._some = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def expose(self, answer: InterestAnswer) -> None:
        """An answer that is about to leave."""
        asyncio.get_running_loop().call_soon(self._encode, answer, self._now_ms())

    def put(self, kind: Kind, user_id: str, data: bytes, read_ms: int | None = None) -> None:
        """Another event of this process; `read_ms` is when the user's data was read: now, if None.

        An empty `user_id`: it is no user's.
        """
        read_ms = self._now_ms() if read_ms is None else read_ms
        self._waiting.append(Event(kind, user_id, data, read_ms))
        self._bytes += len(data)
        while self._bytes > MOST_BYTES:
            self._dropped(self._next().kind, 1)
        self._some.set()

    def shadow(self, answer: ShadowAnswer) -> None:
        """What a shadow arm has found."""
        self.put(Kind.SHADOW, answer.user_id, shadow(answer, self._now_ms()), answer.read_at_ms)

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._for_ever(), name="writing events")

    async def stop(self) -> None:
        """Write what is left and that this is the end, as far as Redis takes it in time."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)  # answers are encoded meanwhile
        self._task = None
        end = ending(self._now_ms(), self._identity.process, self._identity.sequence)
        self.put(Kind.END, "", end)
        try:
            async with asyncio.timeout(_LAST_S):
                await self._write_all()
        except TimeoutError:
            left = [*self._batch, *self._waiting]
            log.warning("Redis took no events for %g s: %d are lost", _LAST_S, len(left))
            for event in left:
                self._dropped(event.kind, 1)
            self._batch = []
            self._waiting.clear()
            self._bytes = 0

    def _encode(self, answer: InterestAnswer, at_ms: int) -> None:
        try:
            name = named(answer.request_id)
            data = exposure(answer, at_ms, name.process, name.sequence)
        except Exception:
            log.exception("an answer could not be made an event of")
            self._dropped(Kind.EXPOSURE, 1)
            return
        read_ms = at_ms - math.ceil(answer.timings.total)
        self.put(Kind.EXPOSURE, answer.user_id, data, read_ms)

    def _next(self) -> Event:
        event = self._waiting.popleft()
        self._bytes -= len(event.data)
        return event

    async def _for_ever(self) -> None:
        while True:
            await self._some.wait()
            await asyncio.sleep(GATHER_S)
            self._some.clear()
            await self._write_all()

    async def _write_all(self) -> None:
        """Write all that waits, over and over until Redis takes it."""
        while self._batch or self._waiting:
            try:
                await self._write()
            except EventsUnavailable:  # said in the log by `Calls`
                await asyncio.sleep(_PAUSE_S)
            except Exception:
                log.exception("writing events failed in a way it should not; it goes on")
                await asyncio.sleep(_PAUSE_S)

    async def _write(self) -> None:
        """Write a batch. The same one again, with the same number, if the last try failed."""
        if not self._batch:
            self._number += 1
            while self._waiting and len(self._batch) < _BATCH:
                self._batch.append(self._next())
        names = [
            stream_key(self._partition),
            batch_key(self._partition, self._identity.process),
        ]
        args: list[Arg] = [self._limits.kept, self._limits.seconds, self._number]
        for event in self._batch:
            place = 0
            if event.user_id:
                place = len(names) + 1
                names += user_keys(self._partition, event.user_id)
            args += (event.kind.value, event.data, event.read_ms, place)
        until = asyncio.get_running_loop().time() + _CALL_S
        await self._calls.run(ADD, names, args, until)
        for kind, count in Counter(event.kind for event in self._batch).items():
            self._wrote(kind, count)
        self._batch = []
