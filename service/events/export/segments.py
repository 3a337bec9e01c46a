"""Writing one segment: entries of a stream become rows, joined and without deleted users."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from service.events.export.entries import (
    End,
    Entry,
    Exposure,
    Feedback,
    Shadow,
    Unreadable,
    read_entry,
    read_exposure,
)
from service.events.export.ids import EntryId, Segment, entry_id
from service.events.export.reading import Chunk, Stream
from service.events.export.rows import Row, end_row, exposure_row, feedback_row, shadow_row
from service.events.export.summary import Summary, Tally
from service.events.export.tables import Tables

CHUNK = 500
"""Entries that are in memory as Python's objects."""
_KNOWN_BYTES = 64 * 2**20
"""Exposures that are held for what comes after them; older ones are read again."""
_PENDING = 20_000
"""What waits for exposures to be read again, in events of feedback; a shadow is ten of them."""
_SHADOW = 10

DeletedAt = Callable[[Collection[str]], Awaitable[Mapping[str, int]]]
"""For users, when each was deleted, in ms since 1970; those who were not are left out."""
_NEVER = -1


class Known:
    """The newest exposures that were read, by request id, in a bounded memory."""

    def __init__(self, most_bytes: int = _KNOWN_BYTES) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._found: OrderedDict[str, bytes] = OrderedDict()

    def add(self, request_id: str, data: bytes) -> None:
        """One more; the oldest make room."""
        self._bytes += len(data) - len(self._found.pop(request_id, b""))
        self._found[request_id] = data
        while self._bytes > self._most:
            _, oldest = self._found.popitem(last=False)
            self._bytes -= len(oldest)

    def get(self, request_id: str) -> Exposure | None:
        """The exposure of a request; None where it is not known."""
        data = self._found.get(request_id)
        return None if data is None else read_exposure(data)


@dataclass(frozen=True, slots=True)
class _Pending:
    """What waits for its exposure; one that is not newer than its user's deletion is none."""

    object: Feedback | Shadow
    deleted_ms: int


class SegmentWriter:
    """Fills the tables of one segment of a stream."""

    def __init__(
        self, stream: Stream, tables: Tables, known: Known, deleted_at: DeletedAt, size: int
    ) -> None:
        self._stream = stream
        self._tables = tables
        self._known = known
        self._deleted_at = deleted_at
        self._size = size
        self._tally = Tally()
        self._events: set[bytes] = set()
        self._pending: list[_Pending] = []
        self._weight = 0

    async def fill(
        self, after: EntryId, chunk: Chunk, until_ms: int, told: Callable[[int], None]
    ) -> tuple[Segment, Summary]:
        """Write `chunk`, which follows on `after`, and what comes then, up to a moment.

        `told` is told numbers of entries. Returns what has been written; nothing is on the disk
        for sure. Raises what reading and writing raise.
        """
        first = last = entry_id(chunk.entries[0][0].decode())
        if after.ms and chunk.begins and chunk.begins > after:
            self._tally.trimmed = [str(after), str(chunk.begins)]
        while chunk.entries:
            await self._take(chunk.entries)
            last = entry_id(chunk.entries[-1][0].decode())
            told(len(chunk.entries))
            if not chunk.more or self._tally.entries >= self._size:
                break
            most = min(CHUNK, self._size - self._tally.entries)
            following = await self._stream.read(last, until_ms, most)
            if following.begins and following.begins > last:
                break  # trimmed behind our back: the next segment says so
            chunk = following
        await self._join()
        return Segment(self._stream.partition, first, last), self._tally.summary(last)

    async def _take(self, raw: Sequence[Any]) -> None:
        read = [read_entry(one, self._stream.key) for one in raw]
        self._tally.entries += len(read)
        users = {
            one.object.user
            for one in read
            if isinstance(one, Entry) and not isinstance(one.object, End)
        }
        deleted = await self._deleted_at(users) if users else {}
        rows: defaultdict[str, list[Row]] = defaultdict(list)
        for one in read:
            if isinstance(one, Unreadable):
                self._tally.unreadable.append(f"{self._stream.key} {one.id}: {one.why}")
            else:
                self._sort(one, deleted, rows)
        self._write(rows)
        if self._weight >= _PENDING:
            await self._join()

    def _sort(
        self, entry: Entry, deleted: Mapping[str, int], rows: defaultdict[str, list[Row]]
    ) -> None:
        given = entry.object
        if isinstance(given, End):
            self._tally.ended(given.process, given.seq)
            rows["ends"].append(end_row(given))
            return
        if isinstance(given, Exposure):
            self._tally.saw(given.process, given.seq, given.at)
        deleted_ms = deleted.get(given.user, _NEVER)
        # Of a reader's clock and Redis's, the one that is behind: deleted stays deleted.
        if min(given.at, entry.id.ms) <= deleted_ms:
            self._tally.deleted += 1
        elif isinstance(given, Exposure):
            self._known.add(given.id, entry.data)
            rows["exposures"].append(exposure_row(given))
        elif isinstance(given, Feedback) and self._is_repeated(given):
            self._tally.repeated += 1
        else:
            pending = _Pending(given, deleted_ms)
            if (exposure := self._known.get(given.id)) is not None:
                self._joined(pending, exposure, rows)
            else:
                self._pending.append(pending)
                self._weight += _SHADOW if isinstance(given, Shadow) else 1

    def _is_repeated(self, event: Feedback) -> bool:
        name = blake2b(f"{event.id}/{event.event}".encode(), digest_size=16).digest()
        before = len(self._events)
        self._events.add(name)
        return len(self._events) == before

    async def _join(self) -> None:
        """Write what is pending, with the exposures that can still be found in the stream."""
        waiting: defaultdict[str, list[_Pending]] = defaultdict(list)
        for one in self._pending:
            waiting[one.object.id].append(one)
        self._pending, self._weight = [], 0
        if not waiting:
            return
        rows: defaultdict[str, list[Row]] = defaultdict(list)
        async for request_id, data in self._stream.exposures(list(waiting)):
            exposure = read_exposure(data)
            if exposure is not None and exposure.id == request_id:
                for one in waiting.pop(request_id):
                    self._joined(one, exposure, rows)
            if sum(map(len, rows.values())) >= CHUNK:
                self._write(rows)
                rows.clear()
        for one in (one for ones in waiting.values() for one in ones):
            self._joined(one, None, rows)
        self._write(rows)

    def _joined(
        self, pending: _Pending, exposure: Exposure | None, rows: defaultdict[str, list[Row]]
    ) -> None:
        given = pending.object
        if exposure is not None and (
            exposure.user != given.user or exposure.at <= pending.deleted_ms
        ):
            exposure = None
        if isinstance(given, Feedback):
            self._tally.feedback_not_joined += exposure is None
            rows["feedback"].append(feedback_row(given, exposure))
        else:
            self._tally.shadows_not_joined += exposure is None
            rows["shadows"].append(shadow_row(given, exposure))

    def _write(self, rows: Mapping[str, Sequence[Row]]) -> None:
        for table, some in rows.items():
            self._tables.add(table, some)
            self._tally.rows[table] += len(some)
