"""The watcher: counts exposures as they are written, and pauses what breaks its guard.

It is a process of its own, so requests pay nothing for it. One acts at a time: the others wait for
a lock in Redis, and one that has lost it stops acting. Its pause is an action like a person's.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.errors import OverlayUnavailable
from service.experiments.definitions import Experiments
from service.experiments.overlay import (
    LONGEST_WHY,
    WATCHER,
    Act,
    Action,
    OverlayConflict,
    apply,
    next_action,
)
from service.experiments.overlay_redis import RedisOverlay
from service.experiments.tally import Tally, arms_of, breaches, read_exposure
from service.redis.calls import Calls
from service.redis.client import RedisClient
from service.redis.running import Arg
from service.redis.scripts import script

log = logging.getLogger(__name__)

LOCK = "experiments:{overlay}:watcher"
ROUND_S = 5.0
LOCK_S = 30.0
"""How long the lock outlives its watcher."""
EXPOSURE = b"x"
"""What an entry of the streams is that counts here; `service/events` writes them."""
_CALL_S = 5.0
_BATCH = 1_000

_ACQUIRE = script("""
-- KEYS: the lock. ARGV: whose it is to be, ms that it holds. Returns whether it is.
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")
_RELEASE = script("""
-- KEYS: the lock. ARGV: whose it is.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""")
_NEXT = script("""
-- KEYS: a stream. ARGV: the last id that was read, how many. Returns the next entries.
return redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
""")


@dataclass(slots=True)
class _Lock:
    """The lock, as this process knows it."""

    token: str = field(default_factory=lambda: secrets.token_hex(8))
    until: float = 0.0
    """Until when it is surely held, on the monotonic clock."""

    @property
    def held(self) -> bool:
        return time.monotonic() < self.until


class Watcher:
    """Reads the streams in rounds. Failures of Redis are `OverlayUnavailable`."""

    def __init__(
        self,
        client: RedisClient,
        streams: Sequence[str],
        experiments: Callable[[], Experiments],
        now_ms: Callable[[], int],
    ) -> None:
        """`experiments`: those of the file at this moment."""
        self._calls = Calls(client, at_once=4, failure=OverlayUnavailable)
        self._overlay = RedisOverlay(client)
        self._streams = tuple(streams)
        self._read_to: dict[str, str] = {}
        self._counted: Mapping[str, object] | None = None
        self._experiments = experiments
        self._now_ms = now_ms
        self._lock = _Lock()
        self._tallies: dict[str, Tally] = {}

    async def round(self) -> bool:
        """Read what is new, and pause what breaks its guard. False: another watcher is at work."""
        held = self._lock.held
        if not await self._acquire():
            if held:
                log.warning("another watcher has the lock; this one waits")
            return False
        until = asyncio.get_running_loop().time() + _CALL_S
        self._prepare(await self._resumed(until))
        for stream in self._streams:
            while await self._count(stream):
                if not await self._acquire():  # it may have been long
                    return False
        if await self._acquire():
            await self._judge()
        return self._lock.held

    async def close(self) -> None:
        """Leave the lock to the next."""
        until = asyncio.get_running_loop().time() + _CALL_S
        await self._calls.run(_RELEASE, [LOCK], [self._lock.token], until)
        self._lock.until = 0.0

    def counts(self) -> list[str]:
        """What was counted so far, a line for each experiment that is watched."""
        return [
            f"{key}: "
            + ", ".join(f"{arm} {n:,}" for arm, n in zip(tally.arms, tally.users, strict=True))
            for key, tally in self._tallies.items()
        ]

    async def _acquire(self) -> bool:
        began = time.monotonic()
        until = asyncio.get_running_loop().time() + _CALL_S
        args: list[Arg] = [self._lock.token, int(1000 * LOCK_S)]
        if await self._calls.run(_ACQUIRE, [LOCK], args, until):
            self._lock.until = began + LOCK_S
        else:
            self._lock.until = 0.0
        return self._lock.held

    async def _resumed(self, until: float) -> dict[str, int]:
        """When each experiment was last resumed: what was counted before is judged already."""
        found: dict[str, int] = {}
        for key, action in await self._overlay.history(until):
            if action.act is Act.RESUME:
                found[key] = max(action.at_ms, found.get(key, 0))
        return found

    def _prepare(self, resumed: Mapping[str, int]) -> None:
        """Begin anew, at the oldest entry that is kept, when there is something else to count."""
        guarded = {
            key: (one, one.guard, resumed.get(key, 0))
            for key, (_, one) in self._experiments().by_key().items()
            if one.guard is not None
        }
        counted = {
            key: (arms_of(one), guard.slow_ms, since)
            for key, (one, guard, since) in guarded.items()
        }
        if counted != self._counted:
            log.info("watching: %s", ", ".join(guarded) or "no experiment has a guard")
            self._tallies = {key: Tally(*given) for key, given in guarded.items()}
            self._read_to = dict.fromkeys(self._streams, "0-0")
            self._counted = counted

    async def _count(self, stream: str) -> bool:
        """Count the next entries of a stream; whether there may be more."""
        if not self._tallies:
            return False
        until = asyncio.get_running_loop().time() + _CALL_S
        entries: list[Any] = await self._calls.run(
            _NEXT, [stream], [self._read_to[stream], _BATCH], until
        )
        for name, fields in entries or ():
            entry = dict(zip(fields[::2], fields[1::2], strict=True))
            if entry.get(b"k") == EXPOSURE and (one := read_exposure(entry.get(b"d", b""))):
                at_ms = int(name.partition(b"-")[0])
                for tally in self._tallies.values():
                    tally.add(one, at_ms)
            self._read_to[stream] = name.decode()
        return len(entries or ()) == _BATCH

    async def _judge(self) -> None:
        """Pause what runs and breaks its guard."""
        until = asyncio.get_running_loop().time() + _CALL_S
        overlay = await self._overlay.read(until)
        in_effect = apply(self._experiments(), overlay).by_key()
        for key, tally in self._tallies.items():
            _, one = in_effect.get(key, (None, None))
            before = overlay.actions.get(key)
            resumed = before and before.act is Act.RESUME and before.at_ms > tally.since_ms
            if one is None or one.guard is None or not one.runs(self._now_ms()) or resumed:
                continue
            if why := "; ".join(breaches(one, one.guard, tally))[:LONGEST_WHY]:
                await self._pause(key, before, why, until)

    async def _pause(self, key: str, before: Action | None, why: str, until: float) -> None:
        asked = Action(Act.PAUSE, WATCHER, why, self._now_ms())
        try:
            after = next_action(before, asked, key)
            await self._overlay.change(key, before, after, until)
        except OverlayConflict as error:  # the next round sees what was done
            log.info("%s", error)
        else:
            log.warning("experiment %s: %s", key, after.told())
