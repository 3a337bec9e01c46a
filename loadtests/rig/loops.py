"""Sending requests: an open loop that waits for no answer, and a closed one of so many callers.

A closed loop asks how much goes through: each caller asks again as soon as it has its answer. An
open loop asks how long users wait: requests come when they come, however slow the answers are, and
each one's time counts from the moment at which it was due. So a server that stalls is charged with
all requests that would have come meanwhile (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from loadtests.raw_client import Caller, Reply
from loadtests.rig.figures import percentile
from loadtests.rig.ticking import at_moments

OK = "ok"
NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class Request:
    """A JSON post. `headers` are further ones, each ended by a line break."""

    body: bytes
    path: str = "/v1/interests"
    headers: str = ""


Make = Callable[[int], Request]
"""The request with this number, from 0."""
Judge = Callable[[Reply], str]
"""What an answer is: `OK`, or a few words that say what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request: when it was due, sent and answered, by `time.perf_counter`, and what came."""

    due: float
    sent: float
    ended: float
    said: str

    @property
    def waited_s(self) -> float:
        """From the moment it was due to the last byte of its answer."""
        return self.ended - self.due


@dataclass(slots=True)
class Calls:
    """All requests of one loop, in the order of their answers, and how long the loop took."""

    seconds: float = 0.0
    calls: list[Call] = field(default_factory=list)

    def waited_s(self, said: str = OK) -> list[float]:
        """How long those took that ended so."""
        return [call.waited_s for call in self.calls if call.said == said]

    def percentile_ms(self, share: float) -> float:
        """Of the answers that are `OK`, in milliseconds; NaN where there are none."""
        return 1000 * percentile(self.waited_s(), share)

    def said(self) -> Counter[str]:
        """How many ended in which way."""
        return Counter(call.said for call in self.calls)

    def within(self, seconds: float) -> int:
        """Answers that are `OK` and came within so many seconds of the moment they were due."""
        return sum(call.said == OK and call.waited_s <= seconds for call in self.calls)

    @property
    def per_s(self) -> float:
        """Answers that are `OK`, a second."""
        return sum(call.said == OK for call in self.calls) / self.seconds

    @property
    def not_ok(self) -> int:
        """All others."""
        return sum(call.said != OK for call in self.calls)

    def generator_late_ms(self, share: float = 0.99) -> float:
        """How late requests were sent. Figures of an open loop are no better than this."""
        return 1000 * percentile([call.sent - call.due for call in self.calls], share)


def answered(reply: Reply) -> str:
    """The plainest judge: `OK` for a 200."""
    return OK if reply.status == 200 else f"status {reply.status}"


async def closed_loop(
    host: str,
    port: int,
    make: Make,
    *,
    callers: int,
    seconds: float,
    judge: Judge = answered,
    obeys_retry_after: bool = True,
) -> Calls:
    """So many callers, each over a connection of its own, ask for so many seconds.

    Requests that are under way at the end are waited for. A caller that is told `Retry-After` waits
    so long, unless `obeys_retry_after` is false.
    """
    found = Calls()
    number = 0
    began = time.perf_counter()

    async def caller() -> None:
        nonlocal number
        connection = await Caller.connect(host, port)
        while (sent := time.perf_counter()) < began + seconds:
            request, number = make(number), number + 1
            try:
                reply = await connection.post(request.path, request.body, request.headers)
            except ConnectionError:
                found.calls.append(Call(sent, sent, time.perf_counter(), NO_ANSWER))
                connection = await Caller.connect(host, port)
                continue
            found.calls.append(Call(sent, sent, reply.ended, judge(reply)))
            if obeys_retry_after and reply.retry_after_s is not None:
                await asyncio.sleep(reply.retry_after_s)
        connection.close()

    await asyncio.gather(*(caller() for _ in range(callers)))
    found.seconds = time.perf_counter() - began
    return found


async def open_loop(
    host: str,
    port: int,
    make: Make,
    moments: Sequence[float],
    *,
    judge: Judge = answered,
    patience_s: float = 60.0,
    connections: int = 16,
) -> Calls:
    """Send request `n` at `moments[n]` seconds from now, whatever has become of those before it.

    It begins with so many kept connections; where all are busy it opens another one. What has no
    answer `patience_s` after the last request was due counts as `NO_ANSWER`, as does what cannot be
    sent. `Retry-After` is not heeded: users who come do not know of those who were refused.
    """
    sender = _Sender(host, port, make, moments, judge)
    await sender.connect(connections)
    sender.began = time.perf_counter() + 0.01
    await at_moments(sender.began, moments, sender.send)
    return await sender.finish(patience_s)


class _Sender:
    """Sends the requests of an open loop over as many connections as it takes."""

    def __init__(
        self, host: str, port: int, make: Make, moments: Sequence[float], judge: Judge
    ) -> None:
        self._host, self._port = host, port
        self._make, self._moments, self._judge = make, moments, judge
        self._idle: list[Caller] = []
        self._all: list[Caller] = []
        self._connecting: set[asyncio.Task[None]] = set()
        self._waiting: dict[int, float] = {}
        """Those without an answer, and when they were sent."""
        self._found = Calls()
        self._none_waits = asyncio.Event()
        self.began = 0.0

    async def connect(self, connections: int) -> None:
        """Have so many connections ready."""
        self._idle = [await Caller.connect(self._host, self._port) for _ in range(connections)]
        self._all = list(self._idle)

    def send(self, number: int) -> None:
        """Send a request now, over an idle connection or, once it is there, a new one."""
        self._waiting[number] = time.perf_counter()
        while self._idle:
            caller = self._idle.pop()
            if caller.open:
                self._send(caller, number)
                return
        task = asyncio.ensure_future(self._send_over_new(number))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def finish(self, patience_s: float) -> Calls:
        """Wait for the answers under way, hang up, and return all."""
        if self._waiting:
            self._none_waits.clear()
            try:
                async with asyncio.timeout(patience_s):
                    await self._none_waits.wait()
            except TimeoutError:
                for number in list(self._waiting):
                    self._ended(number, time.perf_counter(), NO_ANSWER)
        self._found.seconds = time.perf_counter() - self.began
        for task in list(self._connecting):
            task.cancel()
        for caller in self._all:
            caller.close()
        return self._found

    async def _send_over_new(self, number: int) -> None:
        try:
            caller = await Caller.connect(self._host, self._port)
        except OSError:
            self._ended(number, time.perf_counter(), NO_ANSWER)
            return
        self._all.append(caller)
        self._send(caller, number)

    def _send(self, caller: Caller, number: int) -> None:
        request = self._make(number)

        def done(reply: Reply | None) -> None:
            if reply is None:
                self._ended(number, time.perf_counter(), NO_ANSWER)
                return
            self._ended(number, reply.ended, self._judge(reply))
            self._idle.append(caller)

        self._waiting[number] = time.perf_counter()
        caller.send(request.path, request.body, done, request.headers)

    def _ended(self, number: int, ended: float, said: str) -> None:
        sent = self._waiting.pop(number, None)
        if sent is None:  # given up already
            return
        due = self.began + self._moments[number]
        self._found.calls.append(Call(due, sent, ended, said))
        if not self._waiting:
            self._none_waits.set()
