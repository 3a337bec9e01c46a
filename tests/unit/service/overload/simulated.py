"""A gateway that computes in simulated time, with the real places, turns and limit.

The event loop is real and its clock is not: it stands still but for what the gateway computes, and
jumps where the gateway would wait. So a second of overload costs no more than its events, and the
same seed gives the same figures on any machine.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from service.errors import Overloaded
from service.overload.admission import Admission
from service.overload.gradient import GradientLimit
from service.overload.load import Load
from service.overload.saving import Saving, Step
from tests.unit.service.clock import JumpingLoop

LOOK_S = 0.1
REFUSAL_S = 0.00011
READ_S, WRITE_S, ANSWER_S = 0.0007, 0.0015, 0.003
"""What the gateway computes for a request: before its turns, in the first, in the second."""
OWN_S = 0.001
"""Of `ANSWER_S`, what the user's own signals cost."""
CAPACITY = 1 / (READ_S + WRITE_S + ANSWER_S)
"""Requests a second, with all of the user's own signals searched."""
STORE_S = 0.0005
"""What Redis takes."""


class ComputingLoop(JumpingLoop):
    """Its clock goes on while something computes, too."""

    def compute(self, seconds: float) -> None:
        """Keep the loop from everything else for so long."""
        self._now += seconds


@dataclass(frozen=True, slots=True)
class Sent:
    """A request: when it was due, how long it took, and whether it was refused."""

    due: float
    seconds: float
    refused: bool


@dataclass(slots=True)
class Simulated:
    """A gateway: what it waits for is an engine that takes so long, or nothing."""

    loop: ComputingLoop
    load: Load
    engine_s: float = 0.0
    work: float = 1.0
    """How much is computed for a request, in parts of what is usual."""
    deadline_s: float = 1.0
    """The time that a request has."""

    async def offer(self, rate: float, seconds: float, rng: random.Random) -> list[Sent]:
        """Requests at random for so long. Returns those that were due meanwhile, all ended."""
        began, tasks, refused = self.loop.time(), list[asyncio.Task[Sent]](), list[Sent]()
        at = began + rng.expovariate(rate)

        def arrive() -> None:
            """What an event loop does with the heads that it reads in one round."""
            nonlocal at
            while at <= self.loop.time() and at < began + seconds:
                try:
                    self.load.admission.require_room()
                except Overloaded:
                    self.loop.compute(REFUSAL_S)
                    refused.append(Sent(at, self.loop.time() - at, refused=True))
                else:
                    tasks.append(asyncio.ensure_future(self._serve(at)))
                at += rng.expovariate(rate)
            if at < began + seconds:
                self.loop.call_at(at, arrive)

        self.loop.call_at(at, arrive)
        await asyncio.sleep(max(0.0, began + seconds - self.loop.time()))
        return [*refused, *await asyncio.gather(*tasks)]

    async def look(self) -> None:
        """What the gateway does ten times a second, until cancelled."""
        while True:
            due = self.loop.time() + LOOK_S
            await asyncio.sleep(LOOK_S)
            self.load.look(self.loop.time() - due)

    async def _serve(self, due: float) -> Sent:
        try:
            with self.load.admission.permit():
                self.loop.compute(self.work * READ_S)
                await asyncio.sleep(STORE_S)
                await self.load.run_queue.turn(total_s=self.deadline_s)
                self.loop.compute(self.work * WRITE_S)
                if self.engine_s:
                    with self.load.admission.standing_aside():
                        await asyncio.sleep(self.engine_s)
                await self.load.run_queue.turn(finishing=True)
                saved = (0, 0, OWN_S / 2, OWN_S)[self.load.step]
                self.loop.compute(self.work * (ANSWER_S - saved))
        except Overloaded:
            self.loop.compute(REFUSAL_S)
            return Sent(due, self.loop.time() - due, refused=True)
        return Sent(due, self.loop.time() - due, refused=False)


def simulated(
    rates: Sequence[float],
    seconds: float,
    *,
    engine_s: float = 0.0,
    saving: Saving | None = None,
    adaptive: bool = True,
    wait_s: float = 0.1,
    work: float = 1.0,
    pause_s: float = 0.0,
    seed: int = 1,
) -> tuple[list[list[Sent]], list[int], list[Step]]:
    """Offer each rate for so many seconds, one after the other.

    Requests compute `work` times what they usually do. After two seconds the process stands still
    for `pause_s`. Returns what was sent in each rate, and limit and step at the end of each.
    """
    loop = ComputingLoop()
    rule = GradientLimit(wait_s, most=256) if adaptive else None
    load = Load(Admission(256, rule), saving or Saving(2, 2), loop.time)
    gateway, rng = Simulated(loop, load, engine_s, work), random.Random(seed)

    async def run() -> tuple[list[list[Sent]], list[int], list[Step]]:
        looking = asyncio.ensure_future(gateway.look())
        loop.call_later(2.0, loop.compute, pause_s)
        found, limits, steps = [], [], []
        for rate in rates:
            found.append(await gateway.offer(rate, seconds, rng))
            limits.append(load.admission.limit)
            steps.append(load.step)
        looking.cancel()
        return found, limits, steps

    try:
        return loop.run_until_complete(run())
    finally:
        loop.close()


def goodput(sent: Sequence[Sent], seconds: float, in_time_s: float) -> float:
    """Answers in time, a second."""
    return sum(not one.refused and one.seconds <= in_time_s for one in sent) / seconds


def p99_s(sent: Sequence[Sent], *, refused: bool) -> float:
    """Of those answered, or of those refused."""
    found = sorted(one.seconds for one in sent if one.refused == refused)
    return found[math.ceil(0.99 * len(found)) - 1] if found else math.nan
