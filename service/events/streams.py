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


Partition = int | str
"""A partition's number; in checks a hash tag that is none's."""


def stream_key(partition: Partition) -> str:
    """The stream of a partition."""
    return f"events:{{{partition}}}"


def user_keys(partition: Partition, user_id: str) -> tuple[str, str]:
    """The list of a user's entries in a partition's stream, by their ids; and when the user was
    last deleted, in ms: what was read of them before is not written any more."""
    user = user_id if user_id.isascii() and user_id.isalnum() else quote(user_id, safe="")
    return f"trail:{{{partition}}}:{user}", f"gone:{{{partition}}}:{user}"


def batch_key(partition: Partition, process: int) -> str:
    """The number of the last batch that a process has written: one that is tried again, because
    the answer to the first try was lost, is not written twice."""
    return f"batch:{{{partition}}}:{process}"


def seen_key(partition: Partition, request_s: int) -> str:
    """The set of feedback events that were taken, of requests of the same hour.

    The hour is that of the request, which its signed id names: an event that is sent again meets
    the same set, whenever that is.
    """
    return f"seen:{{{partition}}}:{request_s // HOUR_S}"


_APPEND = """
-- Shared by the scripts below. `append` adds an entry, and its id to the trail of its user, whose
-- place in KEYS is given (0: it has none); the next place is that of the user's deletion. Returns
-- false for what is not newer than that. A trail loses what has left the stream, and expires with
-- its newest entry.
local kept, seconds = tonumber(ARGV[1]), tonumber(ARGV[2])
local oldest = (tonumber(redis.call('TIME')[1]) - seconds) * 1000
local function append(kind, object, at, place)
  place = tonumber(place)
  if place > 0 then
    local gone = redis.call('GET', KEYS[place + 1])
    if gone and tonumber(at) <= tonumber(gone) then return false end
  end
  local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', kept, '*', 'k', kind, 'd', object)
  if place == 0 then return true end
  local trail = KEYS[place]
  local length = redis.call('RPUSH', trail, id)
  redis.call('EXPIRE', trail, seconds)
  local first = redis.call('LINDEX', trail, 0)
  if length > kept or tonumber(string.match(first, '^%d+')) < oldest then
    redis.call('LPOP', trail)
  end
  return true
end
local function trim()
  redis.call('XTRIM', KEYS[1], 'MINID', string.format('%d', oldest))
  redis.call('EXPIRE', KEYS[1], seconds)
end
"""

ADD = script(
    _APPEND
    + """
-- KEYS: a stream, the number of a process's last batch, then a trail and a deletion each.
-- ARGV: entries kept, seconds kept, the batch's number, then kind, object, ms at which its user's
-- data was read, place of its trail in KEYS (0: none), … Returns how many were added: none of a
-- batch that was added before, nor of a user who has been deleted since.
if tonumber(redis.call('GET', KEYS[2]) or '0') >= tonumber(ARGV[3]) then return 0 end
local added = 0
for i = 4, #ARGV, 4 do
  if append(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]) then added = added + 1 end
end
trim()
redis.call('SET', KEYS[2], ARGV[3], 'EX', seconds)
return added
"""
)

TAKE = script(
    _APPEND
    + """
-- KEYS: a stream, then the sets of what was taken, and a trail and a deletion for each user.
-- ARGV: entries kept, seconds kept, then for each event: place of its set in KEYS, its digest,
-- object, ms of its request, place of its trail, …
-- Returns for each event, in their order: 1 it is new, 0 it was taken before, -1 its user was
-- deleted after the request.
local found = {}
for i = 3, #ARGV, 5 do
  local set = KEYS[tonumber(ARGV[i])]
  local outcome = 1 - redis.call('SISMEMBER', set, ARGV[i + 1])
  if outcome == 1 then
    if append('f', ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]) then
      redis.call('SADD', set, ARGV[i + 1])
      redis.call('EXPIRE', set, seconds)
    else
      outcome = -1
    end
  end
  found[#found + 1] = outcome
end
trim()
return found
"""
)

ERASE = script("""
-- KEYS: a stream, the trail of a user in it, the user's deletion. ARGV: seconds kept.
-- Returns how many entries were removed. What was read of the user before is not taken any more.
-- Frees before it writes, a thousand ids at a time: Lua takes no more arguments than it has stack.
local removed = 0
while true do
  local ids = redis.call('LPOP', KEYS[2], 1000)
  if not ids or #ids == 0 then break end
  removed = removed + redis.call('XDEL', KEYS[1], unpack(ids))
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('SET', KEYS[3], string.format('%d', now), 'EX', ARGV[1])
return removed
""")

TRIM = script("""
-- KEYS: a stream. ARGV: seconds kept. Removes what is older: of a stream that nobody writes to.
local oldest = (tonumber(redis.call('TIME')[1]) - ARGV[1]) * 1000
return redis.call('XTRIM', KEYS[1], 'MINID', string.format('%d', oldest))
""")
