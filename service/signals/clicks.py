"""Click logs in the format of MIND (https://msnews.github.io/), as signals of the domain `news`.

Rows are tab-separated: `impression, user, time, history, shown`; MIND's first release has no
impression, and derived sets, NeMig among them, leave the time out. History holds the ids of
articles read before, oldest first; `shown` holds `id-1` for a click and `id-0` for none. The text
of such a signal is the article's title (`service.signals.titles`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain

from service.records import Signal
from service.rows import BadRow, broken_byte, foreign, name_of
from service.signals.titles import Titles

_TIME = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{1,2}):(\d{2}):(\d{2}) ([AP]M)")
_ORDER = "columns are impression, user, time, history, shown, without impression or time perhaps"
_HISTORY_STEP_MS = 3_600_000
"""Logs don't say when the articles of a history were read: one an hour, up to the impression."""
_CLICK_STEP_MS = 1_000


@dataclass(frozen=True, slots=True)
class Impression:
    """One row of a click log: what a user had read before, and what was shown and clicked."""

    id: str
    user: str
    at_ms: int | None
    """None where the log has no times."""
    history: tuple[str, ...]
    """Ids of articles read before, oldest first."""
    shown: tuple[tuple[str, bool], ...]
    """Ids of the articles shown, in the log's order, each with whether it was clicked."""
    history_ms: tuple[int, ...] | None = None
    """When those of the history were read; None where the log does not say."""

    def read_ms(self, until_ms: int) -> tuple[int, ...]:
        """When those of the history were read: as the log says, or one an hour up to a moment."""
        if self.history_ms is not None:
            return self.history_ms
        left = range(len(self.history), 0, -1)
        return tuple(until_ms - hours * _HISTORY_STEP_MS for hours in left)


Numbered = tuple[int, Impression] | BadRow
"""An impression with the number of its row, or what is wrong with the row."""


class BadColumn(ValueError):
    """What is wrong with a row of a click log, and in which column (empty: in the row)."""

    def __init__(self, column: str, why: str) -> None:
        super().__init__(why)
        self.column = column


def click_signals(
    impression: Impression, titles: Titles, untimed_ms: int
) -> tuple[list[Signal], int]:
    """Signals of an impression, and how many of its articles are unknown.

    `untimed_ms` is the time of an impression that has none. A click's id is made from its article,
    since later rows repeat the history of earlier ones.
    """
    at_ms = untimed_ms if impression.at_ms is None else impression.at_ms
    clicks = [item for item, clicked in impression.shown if clicked]
    last = len(clicks) - 1
    times = chain(
        impression.read_ms(at_ms), (at_ms - (last - i) * _CLICK_STEP_MS for i in range(len(clicks)))
    )
    signals, unknown = [], 0
    for item, time_ms in zip(chain(impression.history, clicks), times, strict=True):
        title, category = titles.get(item, ("", None))
        if title:
            signals.append(Signal(time_ms, "news", title, f"news:{item}", item, category))
        else:
            unknown += 1
    return signals, unknown


def read_rows(source: str, rows: Iterable[tuple[int, str]]) -> Iterator[Numbered]:
    """The impressions of a log's lines, as `read_lines` gives them, or what is wrong with each."""
    name = name_of(source)
    for place, (line, row) in enumerate(rows):
        if (byte := broken_byte(row)) is not None:
            yield BadRow(name, line, "", f"byte {byte} is not UTF-8")
        elif place == 0 and (why := foreign(row)):
            yield BadRow(name, line, "", why)
        else:
            yield parsed(name, line, partial(parse_impression, row))


def parsed(name: str, number: int, parse: Callable[[], Impression]) -> Numbered:
    """What a row is; a `BadColumn` of its parsing becomes a bad row."""
    try:
        return number, parse()
    except BadColumn as error:
        return BadRow(name, number, error.column, str(error))


def parse_impression(row: str) -> Impression:
    """One row of a log. Raises `BadColumn` naming the column that cannot be read, and why."""
    columns = row.rstrip("\r\n").split("\t")
    if len(columns) not in (4, 5):
        raise BadColumn("", f"{len(columns)} columns; a click log has 4 or 5, separated by tabs")
    *first, history, shown = columns
    time: str | None
    match first:
        case [user, str(time)] if _TIME.fullmatch(time.strip()):  # MIND's first release
            impression = f"{user} {time}"
        case [impression, user]:
            time = None
        case _:
            impression, user, time = first
    return Impression(
        id=_filled("impression", impression),
        user=_user(user),
        at_ms=None if time is None else _time(time),
        history=tuple(history.split()),
        shown=tuple(map(_shown, shown.split())),
    )


def _filled(column: str, value: str) -> str:
    if not value.strip():
        raise BadColumn(column, "must be a text that is not empty")
    return value


def _user(value: str) -> str:
    if _TIME.fullmatch(value.strip()):
        raise BadColumn("user", f"{value!r} is a time; {_ORDER}")
    return _filled("user", value)


def _shown(entry: str) -> tuple[str, bool]:
    item, dash, label = entry.rpartition("-")
    if not dash or label not in ("0", "1"):
        raise BadColumn(
            "shown",
            f"{entry!r} is not <article id>-0 or <article id>-1; a log that does not say what was"
            " clicked cannot be used",
        )
    if not item:
        raise BadColumn("shown", "an article's id is missing before -0 or -1")
    return item, label == "1"


def _time(text: str) -> int:
    """`11/15/2019 9:05:58 AM`, month first, taken as UTC."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise BadColumn("time", f"{text!r} is not a time like 11/15/2019 9:05:58 AM")
    month, day, year, hour, minute, second = map(int, match.groups()[:6])
    if not 1 <= hour <= 12:
        raise BadColumn("time", f"{text!r} has no such hour")
    hour = hour % 12 + (12 if match[7] == "PM" else 0)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise BadColumn("time", str(error)) from error
    return int(moment.timestamp()) * 1000
