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


def batch_key(partition: int, process: int) -> str:
    """The number of the last batch that a process has written: one that is tried again, because
    the answer to the first try was lost, is not written twice."""
    return f"batch:{{{partition}}}:{process}"


def seen_key(partition: int, request_s: int) -> str:
    """The set of feedback events that were taken, of requests of the same hour.

    The hour is that of the request, which its signed id names: an event that is sent again meets
    the same set, whenever that is.
    """
    return f"seen:{{{partition}}}:{request_s // HOUR_S}"


_APPEND = """
-- Shared by the scripts below: adds an entry, and its id to the trail of its user (nil: it has
-- none). A trail loses what has left the stream, and expires with its newest entry.
local kept, seconds = ARGV[1], tonumber(ARGV[2])
local oldest = (tonumber(redis.call('TIME')[1]) - seconds) * 1000
local function append(kind, object, trail)
  local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', kept, '*', 'k', kind, 'd', object)
  if not trail then return end
  redis.call('RPUSH', trail, id)
  redis.call('EXPIRE', trail, seconds)
  local first = redis.call('LINDEX', trail, 0)
  if tonumber(string.match(first, '^%d+')) < oldest then redis.call('LPOP', trail) end
end
local function trim()
  redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%d', oldest))
  redis.call('EXPIRE', KEYS[1], seconds)
end
"""

ADD = script(
    _APPEND
    + """
-- KEYS: a stream, the number of a process's last batch, trails.
-- ARGV: entries kept, seconds kept, the batch's number, then kind, object, place of its trail in
-- KEYS (0: none), … Returns how many were added: none of a batch that was added before.
if tonumber(redis.call('GET', KEYS[2]) or '0') >= tonumber(ARGV[3]) then return 0 end
for i = 4, #ARGV, 3 do
  local place = tonumber(ARGV[i + 2])
  append(ARGV[i], ARGV[i + 1], place > 0 and KEYS[place] or nil)
end
trim()
redis.call('SET', KEYS[2], ARGV[3], 'EX', seconds)
return (#ARGV - 3) / 3
"""
)

TAKE = script(
    _APPEND
    + """
-- KEYS: a stream, then the sets of what was taken and the trails.
-- ARGV: entries kept, seconds kept, then for each event: place of its set in KEYS, its digest,
-- object, place of its trail, …
-- Returns a 1 for each event that is new and a 0 for each that was taken before, in their order.
local new = {}
for i = 3, #ARGV, 4 do
  local set = KEYS[tonumber(ARGV[i])]
  local known = redis.call('SISMEMBER', set, ARGV[i + 1])
  if known == 0 then
    append('f', ARGV[i + 2], KEYS[tonumber(ARGV[i + 3])])
    redis.call('SADD', set, ARGV[i + 1])
    redis.call('EXPIRE', set, seconds + 3600)
  end
  new[#new + 1] = 1 - known
end
trim()
return new
"""
)

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
