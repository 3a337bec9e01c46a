"""A Redis of streams that tests look into, and change while it is read."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from itertools import count
from typing import Any

import orjson

from service.events.export.ids import EntryId, entry_id
from service.events.streams import stream_key
from service.redis.running import Arg
from service.redis.scripts import Script
from tests.parts.streams import Object


class FakeRedis:
    """Partition 0's stream in memory, read as the export reads it; the others are empty.

    Remembers which entries were read.
    """

    def __init__(self) -> None:
        self.entries: list[tuple[EntryId, str, bytes]] = []
        self.read: list[EntryId] = []
        self.now_ms = 2**45
        self._numbers = count(1)

    def add(self, at_ms: int, kind: str, given: Object) -> None:
        insort(self.entries, (EntryId(at_ms, next(self._numbers)), kind, orjson.dumps(given)))

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Any:
        if not args:
            return self.now_ms
        if keys != [stream_key(0)]:
            return [[], b""]
        after, until, most = args
        first = entry_id(str(after).removeprefix("("))
        place = bisect_right(self.entries, first, key=lambda one: one[0])
        found = self.entries[place : place + int(most)]
        found = [one for one in found if until == "+" or one[0].ms <= int(until)]
        self.read += [one[0] for one in found]
        begins = str(self.entries[0][0]).encode() if self.entries else b""
        return [
            [[str(name).encode(), [b"k", kind.encode(), b"d", data]] for name, kind, data in found],
            begins,
        ]

    async def own_tags(self) -> Sequence[str]:
        raise AssertionError

    async def command(self, key: str, *words: Arg) -> Any:
        raise AssertionError

    async def get_many(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        raise AssertionError

    async def aclose(self) -> None:
        raise AssertionError
