"""What a segment holds, and what became of what it does not hold: its `segment.json`. Pure but for
reading and writing that file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import orjson
from pydantic import TypeAdapter, ValidationError

from service.errors import InvalidInput
from service.events.export.folder import SUMMARY, TABLES, segments_in
from service.events.export.ids import EntryId, Segment
from service.events.export.tables import sync

Interval = tuple[int, int]
"""Sequence numbers from the first to the last, both of them included."""

SETTLED_MS = 60_000
"""A request ends long before this. So once an exposure is in a stream, those of its process with
lower numbers are there this much later, or never."""
_NAMED = 20
"""Entries that cannot be read are named up to so many; all are counted."""


@dataclass(frozen=True, slots=True)
class ProcessSeen:
    """What a segment's stretch of the stream holds of one process."""

    process: int
    seen: list[Interval]
    """Numbers of its exposures, also of those that were left out because their user is deleted."""
    newest_ms: int | None
    """Time of its newest exposure."""
    settled: int | None
    """Highest number of those that were `SETTLED_MS` older than the end of the stretch."""
    end: int | None
    """The first number that it did not use, where it has ended in order."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a segment was made of. Counts are of entries of the stream."""

    v: Literal[1]
    entries: int
    rows: dict[str, int]
    feedback_not_joined: int
    shadows_not_joined: int
    deleted: int
    """Left out: they are not newer than their user's deletion."""
    repeated: int
    """Left out: feedback that stands in the segment already."""
    unreadable: int
    unreadable_named: list[str]
    trimmed: list[str] | None
    """Where entries may have been trimmed before they could be exported: the id after which they
    would have come, and the one before which."""
    processes: list[ProcessSeen]


@dataclass(slots=True)
class _Process:
    numbers: list[int] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    end: int | None = None


class Tally:
    """Counts while a segment is written."""

    def __init__(self) -> None:
        self.entries = 0
        self.rows = dict.fromkeys(TABLES, 0)
        self.feedback_not_joined = 0
        self.shadows_not_joined = 0
        self.deleted = 0
        self.repeated = 0
        self.unreadable: list[str] = []
        self.trimmed: list[str] | None = None
        self._processes: dict[int, _Process] = {}

    def saw(self, process: int, number: int, at_ms: int) -> None:
        """An exposure is in the stream."""
        found = self._processes.setdefault(process, _Process())
        found.numbers.append(number)
        found.times_ms.append(at_ms)

    def ended(self, process: int, number: int) -> None:
        """A process ended in order."""
        self._processes.setdefault(process, _Process()).end = number

    def summary(self, last: EntryId) -> Summary:
        """All of it, of a segment that ends with this entry."""
        horizon_ms = last.ms - SETTLED_MS
        return Summary(
            v=1,
            entries=self.entries,
            rows=self.rows,
            feedback_not_joined=self.feedback_not_joined,
            shadows_not_joined=self.shadows_not_joined,
            deleted=self.deleted,
            repeated=self.repeated,
            unreadable=len(self.unreadable),
            unreadable_named=self.unreadable[:_NAMED],
            trimmed=self.trimmed,
            processes=[
                _seen(process, found, horizon_ms)
                for process, found in sorted(self._processes.items())
            ],
        )


def _seen(process: int, found: _Process, horizon_ms: int) -> ProcessSeen:
    pairs = zip(found.numbers, found.times_ms, strict=True)
    return ProcessSeen(
        process,
        merged((number, number) for number in found.numbers),
        max(found.times_ms, default=None),
        max((number for number, at_ms in pairs if at_ms <= horizon_ms), default=None),
        found.end,
    )


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """The same numbers in as few intervals as can be, in their order."""
    found: list[Interval] = []
    for first, last in sorted(intervals):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


_READER = TypeAdapter(Summary)


def write_summary(folder: Path, summary: Summary) -> None:
    """Write it into a segment's folder, onto the disk. Raises `OSError`."""
    with (folder / SUMMARY).open("xb") as file:
        file.write(orjson.dumps(asdict(summary)))
        sync(file)


def read_summaries(folder: Path) -> list[tuple[Segment, Summary]]:
    """Those of all segments. Raises `ConfigurationError`, and `InvalidInput` for a file that cannot
    be read."""
    found = []
    for segment in segments_in(folder):
        path = folder / str(segment) / SUMMARY
        try:
            found.append((segment, _READER.validate_json(path.read_bytes())))
        except OSError as error:
            raise InvalidInput(f"{path}: cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise InvalidInput(f"{path}: is none that `interests events export` writes") from error
    return found
