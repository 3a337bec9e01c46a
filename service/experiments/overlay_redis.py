"""The overlay in Redis: read whole, changed by compare-and-set, with a history.

    experiments:{overlay}           hash: an experiment's key → its newest action, JSON
    experiments:{overlay}:changes   stream of the last 100 actions: fields `key` and `d`, that JSON

The text inside the braces is the same in both, so a cluster holds them in one slot.
"""

from __future__ import annotations

from typing import Any

from service.errors import OverlayUnavailable
from service.experiments.overlay import Action, Overlay, OverlayConflict, decode, encode
from service.redis.calls import Calls
from service.redis.client import RedisClient
from service.redis.running import Arg
from service.redis.scripts import script

OVERLAY = "experiments:{overlay}"
CHANGES = "experiments:{overlay}:changes"
KEPT = 100
"""Actions in the history."""

_READ = script("""
-- KEYS: the overlay. Returns keys and actions in turn.
return redis.call('HGETALL', KEYS[1])
""")

_CHANGE = script("""
-- KEYS: the overlay, the stream of changes.
-- ARGV: experiment, the revision that the caller has seen (0: none), the new action, actions kept.
-- Returns false when it is done, else the action that stands and was left alone.
local held = redis.call('HGET', KEYS[1], ARGV[1])
local revision = 0
if held then
  local read, found = pcall(cjson.decode, held)
  revision = read and type(found) == 'table' and tonumber(found['revision']) or -1
end
if revision ~= tonumber(ARGV[2]) then return held or '' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[4], '*', 'key', ARGV[1], 'd', ARGV[3])
return false
""")

_HISTORY = script("""
-- KEYS: the stream of changes. ARGV: how many. Returns the newest first.
return redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[1])
""")


class RedisOverlay:
    """What was done to experiments by hand, in Redis. Failures are `OverlayUnavailable`."""

    def __init__(self, client: RedisClient) -> None:
        self._calls = Calls(client, at_once=2, failure=OverlayUnavailable)

    async def read(self, until: float) -> Overlay:
        """All of it."""
        found: list[bytes] = await self._calls.run(_READ, [OVERLAY], [], until)
        actions, unreadable = {}, []
        for name, held in zip(found[::2], found[1::2], strict=True):
            key = name.decode(errors="replace")
            try:
                actions[key] = decode(held)
            except ValueError:
                unreadable.append(key)
        return Overlay(actions, tuple(sorted(unreadable)))

    async def change(self, key: str, before: Action | None, after: Action, until: float) -> None:
        """Put `after` in the place of `before`, both in the overlay and in the history.

        Raises `OverlayConflict`, and changes nothing, where something else than `before` stands.
        """
        seen = before.revision if before else 0
        args: list[Arg] = [key, seen, encode(after), KEPT]
        held = await self._calls.run(_CHANGE, [OVERLAY, CHANGES], args, until)
        if held is not None:
            raise OverlayConflict(key, _or_none(held))

    async def history(self, until: float) -> list[tuple[str, Action]]:
        """The last actions with their experiments, the newest first."""
        entries: list[Any] = await self._calls.run(_HISTORY, [CHANGES], [KEPT], until)
        found = []
        for _, fields in entries:
            entry = dict(zip(fields[::2], fields[1::2], strict=True))
            if (action := _or_none(entry.get(b"d", b""))) is not None:
                found.append((entry.get(b"key", b"").decode(errors="replace"), action))
        return found


def _or_none(held: bytes) -> Action | None:
    try:
        return decode(held)
    except ValueError:
        return None
