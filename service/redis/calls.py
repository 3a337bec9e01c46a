"""Calls to Redis with a deadline each, and one error for all that can go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from redis.exceptions import RedisClusterException, RedisError, TryAgainError

from service.errors import RedisUnavailable
from service.patience import result_by
from service.redis.client import RedisClient
from service.redis.faults import FaultLog, fault_of
from service.redis.running import Arg
from service.redis.scripts import Script

T = TypeVar("T")

_MOVING_S = 0.05
"""Pause before a write is tried again whose slot is on its way to another node of a cluster."""


class Calls:
    """What one room asks of Redis.

    At most `at_once` calls are under way; more wait, each until its own deadline. Every failure is
    raised as `failure`, and each kind of refusal logged once. Deadlines (`until`) are moments on
    the event loop's clock, in seconds.
    """

    def __init__(
        self, client: RedisClient, *, at_once: int, failure: type[RedisUnavailable]
    ) -> None:
        self._client = client
        self._failure = failure
        self._places = asyncio.Semaphore(at_once)
        self._log = FaultLog()

    @property
    def client(self) -> RedisClient:
        """The connections."""
        return self._client

    async def run(
        self, script: Script, keys: Sequence[str], args: Sequence[Arg], until: float
    ) -> Any:
        """Run a script, over and over by `until` while a cluster moves the slot of its keys."""
        moving: RedisUnavailable | None = None
        while True:
            try:
                return await self.once(script, keys, args, until)
            except RedisUnavailable as error:
                if error.moving:
                    moving = error
                elif moving is not None and isinstance(error.__cause__, TimeoutError):
                    # The deadline cut a further try short: the move is still what is in the way.
                    raise moving from error
                else:
                    raise
            if asyncio.get_running_loop().time() + _MOVING_S >= until:
                raise moving
            await asyncio.sleep(_MOVING_S)

    async def once(
        self, script: Script, keys: Sequence[str], args: Sequence[Arg], until: float
    ) -> Any:
        """Run a script; the error says `moving` where a cluster moves the slot of its keys."""
        return await self.within(until, lambda: self._client.run(script, keys, args))

    async def command(self, until: float, key: str, *words: Arg) -> Any:
        """Send a command as it is to the server that holds the key."""
        return await self.within(until, lambda: self._client.command(key, *words))

    async def within(self, until: float, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` gives by `until`."""
        if asyncio.get_running_loop().time() >= until:  # Redis could answer, but nobody is left
            raise self._failure("there was no time left to ask Redis")

        async def placed() -> T:
            async with self._places:
                return await call()

        try:
            found = await result_by(placed(), until)
        except TimeoutError as error:
            raise self._failure("Redis did not answer in time") from error
        except (RedisError, RedisClusterException, OSError) as error:
            fault = fault_of(error)
            self._log.failed(fault)
            moving = isinstance(error, TryAgainError)
            raise self._failure(fault.says, remedy=fault.remedy, moving=moving) from error
        self._log.worked()
        return found


async def all_of(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Wait for all, whatever fails, and raise the first failure: none is left running."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
