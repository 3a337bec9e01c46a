"""Impressions out of `behaviors.tsv` or `behaviors.parquet`: who was shown and clicked what."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from sys import intern

from service.parquet import is_parquet
from service.rows import BadRow, BadRows, read_lines
from service.signals import parquet_logs
from service.signals.clicks import Impression, read_rows
from service.signals.parquet_logs import read_behaviors


@dataclass(frozen=True, slots=True)
class History:
    """What a user read, oldest first. Compact, since a log's histories are all held at once."""

    articles: tuple[str, ...]
    read_ms: array[int]
    """When each was read, in milliseconds since 1970."""


Histories = Mapping[str, History]
"""By user."""


def read_impressions(
    source: str, histories: Histories | None = None
) -> Iterator[Impression | BadRow]:
    """Every row of a log as an impression, or as what is wrong with it.

    `source` is MIND's, a path, plain or gzipped, or `-` for standard input. A row has five columns
    (impression, user, time, history, shown), or four: without the impression, as in its first
    release, or without the time; then `at_ms` is None. Or it is Parquet in EB-NeRD's shape, to
    whose impressions `histories` gives what their users had read by then. Times are taken as UTC.
    Nothing clicked, nothing shown and no history are all fine; blank lines are passed over. Raises
    `InvalidInput` for a file that cannot be read, and as `read_table` does.
    """
    parquet = is_parquet(source)
    for row in read_behaviors(source) if parquet else read_rows(source, read_lines(source)):
        if isinstance(row, BadRow):
            yield row
        else:
            _, impression = row
            yield _with_history(impression, histories) if histories else impression


def read_histories(source: str, bad: BadRows) -> dict[str, History]:
    """The histories of `history.parquet`, all in memory, 16 bytes for each article read.

    Raises as `read_table` does, and `InvalidInput` for too many bad rows.
    """
    found = {}
    for _, row in bad.sift(parquet_logs.read_histories(source)):
        found[row.user] = History(tuple(map(intern, row.history)), array("q", row.read_ms(0)))
    return found


def _with_history(impression: Impression, histories: Histories) -> Impression:
    known = histories.get(impression.user)
    if known is None:
        return impression
    at_ms = impression.at_ms
    end = len(known.articles) if at_ms is None else bisect_left(known.read_ms, at_ms)
    read_ms = tuple(known.read_ms[:end])
    return replace(impression, history=known.articles[:end], history_ms=read_ms)
