"""Click logs in Parquet, in the shape of EB-NeRD (https://recsys.eb.dk).

`behaviors.parquet` has an impression in each row, without a history. `history.parquet` has a row
for each user: the articles read before the log begins, and when. Such a row is an impression that
shows nothing. Ids are integers there and texts here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from service.errors import InvalidInput
from service.parquet import Column, column_names, read_table
from service.signals.clicks import BadColumn, Impression, Numbered, parsed

_BEHAVIORS = (
    Column("impression_id", "id"),
    Column("user_id", "id"),
    Column("impression_time", "time"),
    Column("article_ids_inview", "ids"),
    Column("article_ids_clicked", "ids"),
)
_HISTORY = (
    Column("user_id", "id"),
    Column("impression_time_fixed", "times"),
    Column("article_id_fixed", "ids"),
)


def read_behaviors(source: str) -> Iterator[Numbered]:
    """The impressions of `behaviors.parquet`, each with the number of its row, or what is wrong.

    Raises `InvalidInput` for a file that cannot be read, or has another shape, and
    `ConfigurationError` without pyarrow.
    """
    for number, row in read_table(source, _BEHAVIORS):
        yield parsed(source, number, partial(_impression, row))


def read_histories(source: str) -> Iterator[Numbered]:
    """The users of `history.parquet`; otherwise as `read_behaviors`."""
    for number, row in read_table(source, _HISTORY):
        yield parsed(source, number, partial(_history, row))


def read_either(source: str) -> Iterator[Numbered]:
    """As `read_behaviors` or `read_histories`, by the names of the file's columns."""
    names = column_names(source)
    if any(column.name in names for column in _HISTORY[1:]):
        return read_histories(source)
    if any(column.name in names for column in _BEHAVIORS[3:]):
        return read_behaviors(source)
    raise InvalidInput(
        f"{source} is neither a log nor a history: a log has {_listed(_BEHAVIORS)}, a history has "
        f"{_listed(_HISTORY)}, and the file has {', '.join(names)}"
    )


def _impression(row: dict[str, Any]) -> Impression:
    shown, clicked = _ids(row, "article_ids_inview"), _ids(row, "article_ids_clicked")
    hits = frozenset(clicked)
    return Impression(
        id=_filled(row, "impression_id"),
        user=_filled(row, "user_id"),
        at_ms=_filled(row, "impression_time"),
        history=(),
        # What was clicked has been shown, whether or not the log lists it so.
        shown=tuple((item, item in hits) for item in dict.fromkeys([*shown, *clicked])),
    )


def _history(row: dict[str, Any]) -> Impression:
    times, items = row["impression_time_fixed"], _ids(row, "article_id_fixed")
    if times is None or None in times:
        raise BadColumn("impression_time_fixed", "a time is missing")
    if len(times) != len(items):
        raise BadColumn("impression_time_fixed", f"{len(times)} times of {len(items)} articles")
    read = sorted(zip(times, items, strict=True), key=lambda one: one[0])
    return Impression(
        id="",
        user=_filled(row, "user_id"),
        at_ms=None,
        history=tuple(item for _, item in read),
        shown=(),
        history_ms=tuple(at_ms for at_ms, _ in read),
    )


def _filled(row: dict[str, Any], column: str) -> Any:
    if row[column] is None:
        raise BadColumn(column, "is missing")
    return row[column]


def _ids(row: dict[str, Any], column: str) -> list[str]:
    found: list[str] | None = row[column]
    if found is None:
        raise BadColumn(column, "is missing; where there is none it must be an empty list")
    if None in found:
        raise BadColumn(column, "an article's id is missing")
    return found


def _listed(columns: tuple[Column, ...]) -> str:
    return ", ".join(column.name for column in columns)
