"""Days of visits, each of so many seconds: readers come when they come, not when there is room."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.online.readers import Reader
from models.online.visits import Visitor
from models.progress import Progress


@dataclass(frozen=True, slots=True)
class Plan:
    """How many days, how long each lasts in seconds, and how often a reader comes on one."""

    days: int
    day_s: float
    visits: float
    first_day: int = 1
    """The number of the first; other days have other luck."""
    at_once: int = 16
    """Visits under way at the most; more wait, and the day may end late."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A visit: seconds after the day's start, the reader's position, the visit's number."""

    at_s: float
    reader: int
    number: int


def arrivals(plan: Plan, readers: int, day: int, seed: int) -> list[Arrival]:
    """The visits of a day in the order of time: a Poisson number of each reader. Pure."""
    rng = np.random.default_rng([seed, day, readers])
    counts = rng.poisson(plan.visits, readers)
    found = [
        Arrival(float(at), reader, day * 1_000 + place)
        for reader, count in enumerate(counts)
        for place, at in enumerate(np.sort(rng.uniform(0, plan.day_s, count)))
    ]
    return sorted(found, key=lambda arrival: arrival.at_s)


async def play(
    visitor: Visitor, readers: Sequence[Reader], plan: Plan, seed: int, progress: Progress
) -> float:
    """Let the readers come. Returns the most seconds by which a visit began late.

    `progress` is told of each visit. A reader's visits never overlap. Raises what a visit raises.
    """
    loop = asyncio.get_running_loop()
    places = asyncio.Semaphore(plan.at_once)
    turns = [asyncio.Lock() for _ in readers]
    latest = 0.0

    async def come(arrival: Arrival, began: float) -> None:
        nonlocal latest
        await asyncio.sleep(max(0.0, began + arrival.at_s - loop.time()))
        async with turns[arrival.reader], places:
            latest = max(latest, loop.time() - began - arrival.at_s)
            await visitor.visit(readers[arrival.reader], arrival.number)
        progress(1)

    for day in range(plan.first_day, plan.first_day + plan.days):
        began = loop.time()
        async with asyncio.TaskGroup() as group:
            for arrival in arrivals(plan, len(readers), day, seed):
                group.create_task(come(arrival, began))
        await asyncio.sleep(max(0.0, began + plan.day_s - loop.time()))
    return latest


async def introduce(
    visitor: Visitor, readers: Sequence[Reader], at_once: int, progress: Progress
) -> None:
    """Store every reader's past."""
    places = asyncio.Semaphore(at_once)

    async def one(reader: Reader) -> None:
        async with places:
            await visitor.introduce(reader)
        progress(1)

    async with asyncio.TaskGroup() as group:
        for reader in readers:
            group.create_task(one(reader))
