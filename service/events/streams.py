"""Where events are in Redis, and the scripts that write and remove them.

`PARTITIONS` streams, `events:{0}` and on. A process writes to one of them, and feedback goes to
that of the process that its request id names: so an exposure and what became of it are in the same
stream, and a script that writes a batch has all its keys in one slot of a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from service.redis.scripts import script

PARTITIONS = 4
DAY_S = 86_400
HOUR_S = 3_600


class Kind(StrEnum):
    """What an entry of a stream is: its field `k`."""

    EXPOSURE = "x"
    SHADOW = "s"
    FEEDBACK = "f"
    END = "e"
    """The orderly end of a process: its exposures are whole."""


@dataclass(frozen=True, slots=True)
class EventLimits:
    """How many entries a stream keeps, about, and for how many seconds."""

    kept: int
    seconds: int


def partition_of(process: int) -> int:
    """The partition of a process, by the number that its request ids carry."""
    return process % PARTITIONS


def stream_key(partition: int) -> str:
    """The stream of a partition."""
    return f"events:{{{partition}}}"


def trail_key(partition: int, user_id: str) -> str:
    """The list of a user's entries in a partition's stream, by their ids."""
    return f"trail:{{{partition}}}:{quote(user_id, safe='')}"


def seen_key(partition: int, request_s: int) -> str:
    """The set of feedback events that were taken, of requests of the same hour.

    The hour is that of the request, which its signed id names: an event that is sent again meets
    the same set, whenever that is.
    """
    return f"seen:{{{partition}}}:{request_s // HOUR_S}"


ADD = script("""
-- KEYS: a stream, then the trail of each entry ('' in ARGV: of none).
-- ARGV: entries kept, seconds kept, then kind, object, whether it has a trail, …
-- Returns how many were added. The keys expire with their newest entry.
local kept, seconds = ARGV[1], tonumber(ARGV[2])
local oldest = (tonumber(redis.call('TIME')[1]) - seconds) * 1000
local count, trail = 0, 1
for i = 3, #ARGV, 3 do
  local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', kept, '*', 'k', ARGV[i], 'd', ARGV[i + 1])
  if ARGV[i + 2] == '1' then
    trail = trail + 1
    redis.call('RPUSH', KEYS[trail], id)
    redis.call('EXPIRE', KEYS[trail], seconds)
    local first = redis.call('LINDEX', KEYS[trail], 0)
    if tonumber(string.match(first, '^%d+')) < oldest then redis.call('LPOP', KEYS[trail]) end
  end
  count = count + 1
end
redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%d', oldest))
redis.call('EXPIRE', KEYS[1], seconds)
return count
""")

ERASE = script("""
-- KEYS: a stream, the trail of a user in it. Returns how many entries were removed.
-- Frees before it writes, a thousand ids at a time: Lua takes no more arguments than it has stack.
local removed = 0
while true do
  local ids = redis.call('LPOP', KEYS[2], 1000)
  if not ids or #ids == 0 then return removed end
  removed = removed + redis.call('XDEL', KEYS[1], unpack(ids))
end
""")
