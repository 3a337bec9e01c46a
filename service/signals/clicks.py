"""Click logs in the format of MIND (https://msnews.github.io/), as signals of the domain `news`.

Rows are tab-separated: `impression, user, time, history, shown`; MIND's first release has no
impression, and derived sets, NeMig among them, leave the time out. History holds the ids of
articles read before, oldest first; `shown` holds `id-1` for a click and `id-0` for none. The text
of such a signal is the article's title (`service.signals.titles`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from service.records import Signal
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


class BadColumn(ValueError):
    """What is wrong with a row of a click log, and in which column (empty: in the row)."""

    def __init__(self, column: str, why: str) -> None:
        super().__init__(why)
        self.column = column


def click_signals(row: str, titles: Titles, untimed_ms: int) -> tuple[str, list[Signal], int]:
    """User, signals and the number of clicks on unknown articles of one row of a log.

    `untimed_ms` is the time of a row that has none. A click's id is made from its article, since
    later rows repeat the history of earlier ones. Raises `BadColumn` saying what is wrong.
    """
    impression = parse_impression(row)
    at_ms = untimed_ms if impression.at_ms is None else impression.at_ms
    history, clicks = impression.history, [item for item, clicked in impression.shown if clicked]
    times: Iterable[int] = chain(
        (at_ms - (len(history) - i) * _HISTORY_STEP_MS for i in range(len(history))),
        (at_ms - (len(clicks) - 1 - i) * _CLICK_STEP_MS for i in range(len(clicks))),
    )
    signals, unknown = [], 0
    for item, time_ms in zip(chain(history, clicks), times, strict=True):
        title, category = titles.get(item, ("", None))
        if title:
            signals.append(Signal(time_ms, "news", title, f"news:{item}", item, category))
        else:
            unknown += 1
    return impression.user, signals, unknown


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
