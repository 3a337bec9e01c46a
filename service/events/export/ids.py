"""Ids of a stream's entries, and the names of exported segments that are made of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from service.events.streams import PARTITIONS

_SEGMENT = re.compile(r"(\d)_(\d{1,20}-\d{1,20})_(\d{1,20}-\d{1,20})", re.A)


class EntryId(NamedTuple):
    """The id of an entry: ms since 1970 by Redis's clock, and its number within that millisecond.

    Ids of one stream only grow.
    """

    ms: int
    number: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.number}"


START = EntryId(0, 0)
"""Before every entry: Redis gives no entry this id."""


def entry_id(text: str) -> EntryId:
    """An id as Redis writes it. Raises `ValueError`."""
    ms, _, number = text.partition("-")
    return EntryId(int(ms), int(number))


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A stretch of a partition's stream, from its first entry to its last."""

    partition: int
    first: EntryId
    last: EntryId

    def __str__(self) -> str:
        return f"{self.partition}_{self.first}_{self.last}"


def segment_of(name: str) -> Segment | None:
    """The segment whose folder has this name; None for other names."""
    found = _SEGMENT.fullmatch(name)
    if found is None:
        return None
    segment = Segment(int(found[1]), entry_id(found[2]), entry_id(found[3]))
    fits = segment.partition < PARTITIONS and START < segment.first <= segment.last
    return segment if fits and str(segment) == name else None
