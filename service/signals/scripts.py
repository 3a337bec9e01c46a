"""The Lua that Redis runs for users' signals: each script is one atomic round trip in one slot."""

from __future__ import annotations

from service.redis.scripts import Script, script


def _reading(*wanted: str) -> Script:
    """A script that reads what is wanted of signals, lists and tombstone, in the order of KEYS."""
    places = ", ".join(f"{name} = KEYS[{place}]" for place, name in enumerate(wanted, 1))
    return script(f"local key = {{{places}}}" + _READ)


_READ = """
-- ARGV: newest signals wanted, most fields of a hash of lists.
-- Returns {member, score, …} newest first, {field, value, …}, tombstone, keys of a wrong type, and
-- Redis's time in ms before any of it was read: a deletion that this misses is not older than it.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local wrong = 0
local function read(...)
  local found = redis.pcall(...)
  if type(found) == 'table' and found.err then
    if not string.find(found.err, 'WRONGTYPE', 1, true) then error(found.err) end
    wrong = wrong + 1
    return {}
  end
  return found
end
local signals, lists, tombstone = {}, {}, ''
if key.signals then
  signals = read('ZREVRANGE', key.signals, 0, ARGV[1] - 1, 'WITHSCORES')
end
if key.lists then
  local size = read('HLEN', key.lists)
  if type(size) == 'number' and size <= tonumber(ARGV[2]) then
    lists = read('HGETALL', key.lists)
  elseif type(size) == 'number' then
    wrong = wrong + 1
  end
end
if key.tombstone then
  tombstone = read('GET', key.tombstone)
  if type(tombstone) ~= 'string' then tombstone = '' end
end
return {signals, lists, tombstone, wrong, now}
"""

GET = _reading("signals", "lists", "tombstone")
"""KEYS: signals, lists, tombstone."""
GET_SIGNALS, GET_LISTS, GET_TOMBSTONE = map(_reading, ("signals", "lists", "tombstone"))
"""A single key each: what a cluster answers even of a slot on its way between two nodes."""

APPEND = script("""
-- KEYS: signals, tombstone. ARGV: signals kept, seconds to live, then score, member, score, …
-- Returns how many are new, and how many were known already; the others were dropped. The first
-- event with an id wins; what is not newer than the user's deletion stays deleted.
local kept, ttl = tonumber(ARGV[1]), tonumber(ARGV[2])
local erased = tonumber(redis.call('GET', KEYS[2]) or '') or -1
local function id(member) return string.match(member, '^[^ ]*') end
local known = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do known[id(member)] = true end
local new, count, repeated = {}, 0, 0
local function trim()
  local over = redis.call('ZCARD', KEYS[1]) - kept
  if over <= 0 then return end
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, over - 1)) do
    if new[member] then count = count - 1 end
  end
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, over - 1)
end
for i = 3, #ARGV, 2 do
  local member = ARGV[i + 1]
  if known[id(member)] then
    repeated = repeated + 1
  elseif tonumber(ARGV[i]) > erased then
    redis.call('ZADD', KEYS[1], ARGV[i], member)
    known[id(member)], new[member], count = true, true, count + 1
    -- A set that was once too large to be packed stays unpacked when it is small again.
    if redis.call('ZCARD', KEYS[1]) >= 2 * kept then trim() end
  end
end
trim()
if count > 0 or redis.call('TTL', KEYS[1]) == -1 then redis.call('EXPIRE', KEYS[1], ttl) end
return {count, repeated}
""")

PACKED = script("""
-- KEYS: signals of nobody. ARGV: signals kept, bytes of a long one.
-- Returns Redis' word for how it keeps the most that a user ever has. Nothing is left behind.
for i = 1, 2 * ARGV[1] do
  redis.call('ZADD', KEYS[1], i, string.rep('x', ARGV[2] - 4) .. string.format('%04d', i))
end
local found = redis.pcall('OBJECT', 'ENCODING', KEYS[1])
redis.call('DEL', KEYS[1])
return found
""")

KEEP = script("""
-- KEYS: lists, tombstone. ARGV: field, value, time in ms, lists kept, seconds to live, most fields.
-- Returns 1 if kept, 0 if the user was deleted since, or a newer list stands in that field.
local made = tonumber(ARGV[3])
local erased = tonumber(redis.call('GET', KEYS[2]) or '') or -1
if made <= erased then return 0 end
local function at(value)
  local fine, list = pcall(cjson.decode, value)
  if fine and type(list) == 'table' and type(list.at) == 'number' then return list.at end
  return -1
end
-- Far more fields than we ever write are somebody else's, and looking through them would take long.
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[6]) then redis.call('DEL', KEYS[1]) end
local old = redis.call('HGET', KEYS[1], ARGV[1])
if old and at(old) > made then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
while redis.call('HLEN', KEYS[1]) > tonumber(ARGV[4]) do
  local oldest, time = nil, math.huge
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local this = at(all[i + 1])
    if this < time then oldest, time = all[i], this end
  end
  redis.call('HDEL', KEYS[1], oldest)
end
redis.call('EXPIRE', KEYS[1], ARGV[5])
return 1
""")

DELETE = script("""
-- KEYS: signals, lists, tombstone. ARGV: seconds the tombstone stands.
-- Returns how many keys there were. The time is Redis's own: gateways' clocks may differ by hours.
-- Frees before it writes: a full Redis refuses the first write of a script if it may need memory,
-- and no other, so that a script can never be stopped half-way.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local old = redis.pcall('GET', KEYS[3])
if type(old) == 'string' and (tonumber(old) or -1) > now then now = tonumber(old) end
local removed = redis.call('DEL', KEYS[1], KEYS[2])
redis.call('SET', KEYS[3], string.format('%d', now), 'EX', ARGV[1])
return removed
""")

ANNOUNCE = script("""
-- KEYS: a stream of changes. ARGV: entries kept, seconds kept, then user, newest ms, user, …
-- The key expires with its newest entry, so nothing outlives its time in a stream gone quiet.
local seconds = tonumber(ARGV[2])
for i = 3, #ARGV, 2 do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'u', ARGV[i], 'at', ARGV[i + 1])
end
local now = tonumber(redis.call('TIME')[1])
redis.call('XTRIM', KEYS[1], 'MINID', string.format('%d', (now - seconds) * 1000))
redis.call('EXPIRE', KEYS[1], seconds)
return (#ARGV - 2) / 2
""")
