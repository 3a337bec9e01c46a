"""Reading a partition's stream: onwards from an entry, and back for exposures that are asked for.

Every call is a script: `Calls.run` follows a cluster's slots and a server that has moved.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Any

from service.errors import ConfigurationError, EventsUnavailable
from service.events.export.ids import EntryId, entry_id
from service.events.streams import Kind, stream_key
from service.identity import named
from service.redis.calls import Calls
from service.redis.faults import fault_of
from service.redis.running import Arg
from service.redis.scripts import Script, script

CALL_S = 30.0
"""Longest that one call may take."""
MARGIN_MS = 1_000
"""Entries younger than this are left for the next time. A replica that takes over may not have them
yet, and would give their ids, or lower ones, to other entries, which would never be read."""
BEFORE_MS = 1_000
"""How far a gateway's clock may be ahead of Redis's for its exposures to be found."""
AFTER_MS = 30_000
"""How long after its request an exposure may have reached the stream."""
_SWEEP = 200
"""Entries that are read back at once."""
_END = "+"
_REQUEST_ID = re.compile(rb'"id":\s*"([^"\\]+)"')
"""The first field of this name is the exposure's own, and quotes in texts are escaped."""

_NOW = script("""
-- Redis's time in ms.
local clock = redis.call('TIME')
return clock[1] * 1000 + math.floor(clock[2] / 1000)
""")

_READ = script("""
-- KEYS: a stream. ARGV: first id, last id, most entries.
-- Returns the entries, and the id of the first that the stream has ('' where it is empty).
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])
return {found, first[1] and first[1][1] or ''}
""")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Entries as Redis gives them."""

    entries: list[Any]
    begins: EntryId | None
    """The first entry that the stream has; None where it is empty."""
    more: bool
    """Whether as many were found as were asked for, so that there may be more."""


class Stream:
    """The stream of a partition. Every method raises `EventsUnavailable`, and `ConfigurationError`
    where something else stands under its name."""

    def __init__(self, calls: Calls, partition: int) -> None:
        self._calls = calls
        self.partition = partition
        self.key = stream_key(partition)

    async def settled_ms(self) -> int:
        """Entries up to this moment, by Redis's clock, can be exported."""
        return int(await self._run(_NOW)) - MARGIN_MS

    async def read(self, after: EntryId, until_ms: int | None, most: int) -> Chunk:
        """The next entries after one, up to a moment or to the end."""
        found, begins = await self._run(
            _READ, f"({after}", _END if until_ms is None else until_ms, most
        )
        return Chunk(found, entry_id(begins.decode()) if begins else None, len(found) == most)

    async def exposures(self, request_ids: Collection[str]) -> AsyncIterator[tuple[str, bytes]]:
        """Ids and objects of the exposures of these requests that are still in the stream.

        They are looked for from the moment that a request id names; every entry is read once at
        most, and only a few are in memory.
        """
        waiting = deque(sorted((from_ms, one) for one in request_ids if (from_ms := _from_ms(one))))
        active: dict[bytes, int] = {}
        """Ids that are looked for now, and the last moment to find each, in order."""
        here = EntryId(0, 0)
        while waiting or active:
            if not active:
                here = max(here, EntryId(waiting[0][0] - 1, 0))
            chunk = await self.read(here, None, _SWEEP)
            for raw in chunk.entries:
                here = entry_id(raw[0].decode())
                while waiting and waiting[0][0] <= here.ms:
                    from_ms, request_id = waiting.popleft()
                    active[request_id.encode()] = from_ms + BEFORE_MS + AFTER_MS
                fields = dict(zip(raw[1][::2], raw[1][1::2], strict=True))
                data = fields.get(b"d", b"")
                if fields.get(b"k") != Kind.EXPOSURE.encode():
                    continue
                name = _REQUEST_ID.search(data)
                if name and active.pop(name[1], None) is not None:
                    yield name[1].decode(), data
            if not chunk.more:
                return
            active = {one: last for one, last in active.items() if last >= here.ms}

    async def _run(self, of: Script, *args: Arg) -> Any:
        until = asyncio.get_running_loop().time() + CALL_S
        try:
            return await self._calls.run(of, [self.key], args, until)
        except EventsUnavailable as error:
            if error.__cause__ is None or fault_of(error.__cause__).kind != "WRONGTYPE":
                raise
            raise ConfigurationError(
                f"{self.key} in Redis is no stream: something else has written it; rename or "
                "delete it"
            ) from error


def _from_ms(request_id: str) -> int:
    """The first moment at which a request's exposure may be in the stream; 0: none is known."""
    try:
        return max(0, named(request_id).at_s * 1000 - BEFORE_MS)
    except ValueError:
        return 0
