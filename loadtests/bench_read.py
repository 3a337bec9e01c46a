"""CPU time of reading a user on the path of a request whose list is kept.

    python -m loadtests.bench_read [--signals 50] [--rounds 30]

A Redis of this run's own holds 200 users with the demo's signals and one kept list each. Measured
is the CPU of this process (uvloop, as the gateway has it), in microseconds a call, step by step:
each line contains the ones that it is made of. `ping` is redis-py alone, with the smallest command
there is. A `get` whose bytes were seen before finds what was made of them (`signals/states.py`), as
is usual where the list is reused; all users' bytes are seen before here, so both are shown.
`pick` is the ladder that finds the kept list. The steps take short turns within one run;
shown are the median over the rounds and the best, which on cores that others use too is nearest
to what the work costs by itself. The last line is Redis' own time for the script. Loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable

import uvloop
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loadtests.rig.users import dealt
from loadtests.sizes import STUDENT, keep_lists, own_redis, store_signals
from service.errors import GenerationUnavailable, SignalsUnavailable
from service.generation.ladder import LadderGenerator, NoEngine
from service.generation.reuse import ReusingGenerator
from service.records import (
    GenerationRequest,
    KeptList,
    Prompt,
    Signal,
    UserState,
)
from service.redis.calls import Calls
from service.redis.client import connect
from service.signals import scripts
from service.signals.keys import user_keys
from service.signals.merge import merge
from service.signals.states import States
from service.signals.store import RedisSignalStore
from service.signals.times import not_ahead

USERS, CALLS = 200, 200
_SIGNALS_KEPT = 200
_DAY_S = 86_400.0
_STEPS = (
    "ping",
    "script",
    "script within its deadline",
    "get, bytes not seen before",
    "get",
    "merge",
    "pick",
    "get+merge+pick",
)


async def unkept(_: str, __: KeptList) -> None:
    """Keep nothing: a reused list is not kept again."""


class Reading:
    """The steps of a read, each as the pipeline does it."""

    def __init__(self, url: str, users: list[str]) -> None:
        self._client = connect(url)
        self._store = RedisSignalStore(self._client)
        self._forgetful = RedisSignalStore(self._client, states=States(0))
        self._calls = Calls(self._client, at_once=64, failure=SignalsUnavailable)
        self._ladder = LadderGenerator(ReusingGenerator(NoEngine(), unkept, _DAY_S), _DAY_S)
        self._now_ms = int(time.time() * 1000)
        self._users = itertools.cycle(users)
        self._state = UserState()
        self._merged: tuple[Signal, ...] = ()

    async def begin(self) -> None:
        """Read once, for the steps that need something read."""
        self._state = await self._get()
        self._merged = self._merge(self._state)
        if not self._state.kept:
            raise GenerationUnavailable("no list is kept")

    def steps(self) -> dict[str, Callable[[], Awaitable[object]]]:
        """By what the table calls them."""
        redis = (self._ping, self._script, self._within, self._get_new, self._get)
        return dict(zip(_STEPS, (*redis, self._merging, self._pick, self._all), strict=True))

    async def close(self) -> None:
        """Close all connections."""
        await self._store.close()

    def _arguments(self) -> tuple[list[str], list[str | bytes | int | float]]:
        keys = user_keys(next(self._users))
        return [keys.signals, keys.lists, keys.tombstone], [_SIGNALS_KEPT, 64]

    async def _ping(self) -> object:
        return await self._client.command("", "PING")

    async def _script(self) -> object:
        return await self._client.run(scripts.GET, *self._arguments())

    async def _within(self) -> object:
        return await self._calls.once(scripts.GET, *self._arguments(), self._until())

    async def _get(self) -> UserState:
        return await self._store.get(next(self._users), self._until())

    async def _get_new(self) -> UserState:
        return await self._forgetful.get(next(self._users), self._until())

    def _merge(self, state: UserState) -> tuple[Signal, ...]:
        return merge(not_ahead(state.signals, self._now_ms), (), _SIGNALS_KEPT)

    async def _merging(self) -> object:
        return self._merge(self._state)

    async def _pick(self) -> object:
        return await self._picked(self._state, self._merged)

    async def _all(self) -> object:
        state = await self._get()
        return await self._picked(state, self._merge(state))

    async def _picked(self, state: UserState, signals: tuple[Signal, ...]) -> object:
        request = GenerationRequest(
            user_id="user",
            student=STUDENT,
            signals=signals,
            prompt=Prompt((), signals),
            fingerprint=state.kept[0].fingerprint,
            max_queries=8,
            read_at_ms=state.read_at_ms,
            kept=state.kept,
        )
        found = await self._ladder.generate(request, self._until())
        if found.source != "reused":
            raise GenerationUnavailable(f"the list was not reused but {found.source}")
        return found

    def _until(self) -> float:
        return asyncio.get_running_loop().time() + 10


async def measured(url: str, users: list[str], rounds: int) -> dict[str, list[float]]:
    """Microseconds of CPU a call, by step, one figure a round."""
    reading = Reading(url, users)
    await reading.begin()
    took: dict[str, list[float]] = {name: [] for name in _STEPS}
    for _ in range(rounds):
        for name, step in reading.steps().items():
            began = time.process_time()
            for _ in range(CALLS):
                await step()
            took[name].append((time.process_time() - began) / CALLS * 1e6)
    await reading.close()
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--signals", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    console, table = Console(), Table(box=SIMPLE_HEAD, title="CPU of a read, µs")
    for column in ("step", "median", "best"):
        table.add_column(column, justify="left" if column == "step" else "right")
    with own_redis() as (client, url):
        users = dealt(range(USERS), given.signals)
        asyncio.run(store_signals(users, url))
        asyncio.run(keep_lists(users, url))
        client.config_resetstat()
        took = uvloop.run(measured(url, list(users), given.rounds))
        for step, values in took.items():
            table.add_row(step, f"{statistics.median(values):.0f}", f"{min(values):.0f}")
        script = client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"]
    console.print(table)
    console.print(f"Redis itself: {script:.0f} µs a script")


if __name__ == "__main__":
    main()
