"""Which exposures are missing from a folder, by the numbers that each process gave them. Pure.

A process counts its requests from 0, without gaps. So a number that no exposure has is one that was
lost with its process, trimmed before it was exported, or removed with its user.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from service.events.export.ids import Segment
from service.events.export.summary import SETTLED_MS, ProcessSeen, Summary, merged
from service.events.streams import partition_of

Ending = Literal["in order", "not yet", "no orderly end"]


@dataclass(frozen=True, slots=True)
class Losses:
    """What there is of a process, and what is missing: before, between and after what there is."""

    process: int
    exposures: int
    before: int
    between: int
    after: int
    """Known only of a process that ended in order."""
    ending: Ending

    @property
    def missing(self) -> int:
        """Exposures that are known to be missing."""
        return self.before + self.between + self.after


def losses(found: Sequence[tuple[Segment, Summary]]) -> list[Losses]:
    """Of every process in these segments, by its number.

    What has not settled (`SETTLED_MS`) is not missing yet.
    """
    of: defaultdict[int, list[ProcessSeen]] = defaultdict(list)
    ends_ms: dict[int, int] = {}
    for segment, summary in found:
        ends_ms[segment.partition] = max(ends_ms.get(segment.partition, 0), segment.last.ms)
        for one in summary.processes:
            of[one.process].append(one)
    return [
        _losses(process, parts, ends_ms.get(partition_of(process), 0) - SETTLED_MS)
        for process, parts in sorted(of.items())
    ]


def _losses(process: int, parts: Iterable[ProcessSeen], horizon_ms: int) -> Losses:
    parts = list(parts)
    seen = merged(interval for part in parts for interval in part.seen)
    end = max((part.end for part in parts if part.end is not None), default=None)
    newest_ms = max((part.newest_ms for part in parts if part.newest_ms is not None), default=None)
    ending: Ending = "no orderly end"
    if end is not None:
        ending = "in order"
    elif newest_ms is not None and newest_ms > horizon_ms:
        ending = "not yet"
    exposures = sum(last - first + 1 for first, last in seen)
    if not seen:
        return Losses(process, 0, 0, 0, end or 0, ending)
    begin, top = seen[0][0], seen[-1][1]
    if end is None:
        top = max((number for part in parts for number in _settled(part, horizon_ms)), default=-1)
    below = sum(max(0, min(last, top) - first + 1) for first, last in seen)
    between = max(0, top - begin + 1) - below
    after = 0 if end is None else max(0, end - 1 - top)
    return Losses(process, exposures, begin, between, after, ending)


def _settled(part: ProcessSeen, horizon_ms: int) -> Iterable[int]:
    """Numbers below which nothing of the process can come any more."""
    if part.settled is not None:
        yield part.settled
    if part.seen and part.newest_ms is not None and part.newest_ms <= horizon_ms:
        yield part.seen[-1][1]
