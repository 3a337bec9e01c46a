"""Impressions out of `behaviors.tsv`: who was shown what, and clicked which of it."""

from __future__ import annotations

from collections.abc import Iterator

from service.rows import BadRow, broken_byte, foreign, name_of, read_lines
from service.signals.clicks import BadColumn, Impression, parse_impression


def read_impressions(source: str) -> Iterator[Impression | BadRow]:
    """Every row of a log as an impression, or as what is wrong with it.

    `source` is a path, plain or gzipped, or `-` for standard input. A row has five columns
    (impression, user, time, history, shown), or four: without the impression, as in MIND's first
    release, or without the time; then `at_ms` is None. Times are taken as UTC. Nothing clicked,
    nothing shown and no history are all fine; blank lines are passed over. Raises `InvalidInput`
    for a file that cannot be read.
    """
    name = name_of(source)
    for place, (line, row) in enumerate(read_lines(source)):
        if (byte := broken_byte(row)) is not None:
            yield BadRow(name, line, "", f"byte {byte} is not UTF-8")
            continue
        if place == 0 and (why := foreign(row)):
            yield BadRow(name, line, "", why)
            continue
        try:
            yield parse_impression(row)
        except BadColumn as error:
            yield BadRow(name, line, error.column, str(error))
