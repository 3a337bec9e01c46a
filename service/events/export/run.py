"""An export: every partition's stream, from where the folder ends to a moment ago."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from service.events.export.folder import ExportFolder
from service.events.export.ids import Segment
from service.events.export.reading import Stream
from service.events.export.segments import CHUNK, DeletedAt, Known, SegmentWriter
from service.events.export.summary import Summary, write_summary
from service.events.export.tables import TablesOf, writing
from service.events.streams import PARTITIONS
from service.redis.calls import Calls


class Exporter:
    """Writes what the folder does not have yet, in segments of at most `size` entries.

    A segment appears in the folder when it is whole and on the disk. So whatever ends an export,
    the next one goes on after the last segment: every entry is in one segment and in no other.
    """

    def __init__(
        self,
        calls: Calls,
        folder: ExportFolder,
        make: TablesOf,
        deleted_at: DeletedAt,
        *,
        size: int,
        told: Callable[[int], None],
    ) -> None:
        """`told` is told how many more entries have been read."""
        self._calls = calls
        self._folder = folder
        self._make = make
        self._deleted_at = deleted_at
        self._size = size
        self._told = told

    async def segments(self) -> AsyncIterator[tuple[Segment, Summary]]:
        """Write, and say, one segment after the other, up to what was there at the beginning.

        Raises `ConfigurationError` where the folder or a stream cannot be used,
        `EventsUnavailable`, and what `deleted_at` raises.
        """
        for partition in range(PARTITIONS):
            stream = Stream(self._calls, partition)
            until_ms = await stream.settled_ms()
            known = Known()
            while (found := await self._next(stream, known, until_ms)) is not None:
                yield found

    async def _next(
        self, stream: Stream, known: Known, until_ms: int
    ) -> tuple[Segment, Summary] | None:
        after = self._folder.position(stream.partition)
        chunk = await stream.read(after, until_ms, min(CHUNK, self._size))
        if not chunk.entries:
            return None
        with self._folder.writing() as aside:
            with writing(self._make, aside) as tables:
                writer = SegmentWriter(stream, tables, known, self._deleted_at, self._size)
                segment, summary = await writer.fill(after, chunk, until_ms, self._told)
                tables.finish()
            write_summary(aside, summary)
            self._folder.complete(aside, segment)
        return segment, summary
