"""Files of signals: JSON lines of our own, and click logs in the formats of MIND and EB-NeRD."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import orjson

from service.dates import parse_time
from service.errors import InvalidInput
from service.parquet import is_parquet
from service.records import DOMAINS, Signal
from service.rows import BadRow, broken_byte, foreign, is_json, name_of, read_lines
from service.signals.clicks import Numbered, click_signals, read_rows
from service.signals.codec import encode
from service.signals.keys import user_keys
from service.signals.merge import signal_id
from service.signals.parquet_logs import read_either
from service.signals.read_log import ReadLog
from service.signals.times import validate_times
from service.signals.titles import Titles

Row = tuple[int, str, Sequence[Signal]] | BadRow
"""Number of a row, user and signals; or what is wrong with it."""

_FIELDS = frozenset({"user_id", "at", "domain", "text", "id", "item", "category", "weight"})


def read_signals(
    source: str, log: ReadLog, now_ms: int, titles: Titles | None = None, untimed_ms: int = 0
) -> Iterator[tuple[str, Sequence[Signal]]]:
    """User and signals of every readable row of a file: JSON lines or a click log.

    `source` is a path, or `-` for standard input. Signals without an id get one made from their
    content, so reading a file twice repeats and changes nothing. `now_ms` bounds the times,
    `untimed_ms` (default: `now_ms`) is given to the rows of logs that have none. Raises
    `InvalidInput` naming file and line when there are more bad rows than `log` allows.
    """
    name = name_of(source)
    for row in _found(source, log, titles, untimed_ms or now_ms):
        if isinstance(row, BadRow):
            log.bad.add(row)
            continue
        number, user_id, signals = row
        try:
            user_keys(user_id)
            validate_times(signals, now_ms)
            for index, signal in enumerate(signals):
                encode(signal, index)
        except InvalidInput as error:
            log.bad.add(_bad(name, number, error))
        else:
            yield user_id, signals


def _found(source: str, log: ReadLog, titles: Titles | None, untimed_ms: int) -> Iterator[Row]:
    """The rows of a file of any format. Raises `InvalidInput` for one that is of none."""
    name = name_of(source)
    if is_parquet(source):
        return _clicks(read_either(source), name, log, titles, untimed_ms)
    rows = read_lines(source)
    first = next(rows, None)
    if first is None:
        return iter(())
    number, text = first
    if broken_byte(text) is None and (why := foreign(text)):
        raise InvalidInput(f"{name}:{number}: {why}")
    rows = chain([first], rows)
    if is_json(text):
        return _signals(rows, name, log)
    return _clicks(read_rows(source, rows), name, log, titles, untimed_ms)


def _clicks(
    rows: Iterable[Numbered], name: str, log: ReadLog, titles: Titles | None, untimed_ms: int
) -> Iterator[Row]:
    if titles is None:
        raise InvalidInput(f"{name} is a click log: give the articles' titles with --news FILE")
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        number, impression = row
        signals, unknown = click_signals(impression, titles, untimed_ms)
        log.unknown_articles += unknown
        yield number, impression.user, signals


def _signals(rows: Iterable[tuple[int, str]], name: str, log: ReadLog) -> Iterator[Row]:
    for number, row in rows:
        if (byte := broken_byte(row)) is not None:
            yield BadRow(name, number, "", f"byte {byte} is not UTF-8")
            continue
        try:
            user_id, signal = _signal(orjson.loads(row), log)
        except orjson.JSONDecodeError as error:
            yield BadRow(name, number, "", f"not JSON: {error}")
        except InvalidInput as error:
            yield _bad(name, number, error)
        else:
            yield number, user_id, [signal]


def _bad(name: str, number: int, error: InvalidInput) -> BadRow:
    return BadRow(name, number, (error.field or "").rpartition(".")[2], str(error))


def _signal(row: object, log: ReadLog) -> tuple[str, Signal]:
    if not isinstance(row, dict):
        raise InvalidInput("not a JSON object")
    if unknown := row.keys() - _FIELDS:
        raise InvalidInput(f"unknown field {min(unknown)!r}; known: {', '.join(sorted(_FIELDS))}")
    texts: dict[str, str | None] = {}
    for key in ("user_id", "domain", "text", "id", "item", "category"):
        value = row.get(key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise InvalidInput("must be a text that is not blank", field=key)
        if value is None and key in ("user_id", "domain", "text"):
            raise InvalidInput("is missing", field=key)
        texts[key] = value
    domain = next((known for known in DOMAINS if known == texts["domain"]), None)
    if domain is None:
        raise InvalidInput(f"must be one of {', '.join(DOMAINS)}", field="domain")
    if row.get("at") is None:
        raise InvalidInput("is missing", field="at")
    weight = row.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise InvalidInput("must be a number", field="weight")
    at_ms, text, item = parse_time(row["at"], "at"), str(texts["text"]).strip(), texts["item"]
    # A search is what somebody typed; all else is a title out of a page, a shop or a feed.
    shown = text if domain == "search" else log.plain(text)
    if not shown:
        raise InvalidInput("is nothing but HTML", field="text")
    signal = Signal(
        at_ms=at_ms,
        domain=domain,
        text=shown,
        id=texts["id"] or signal_id(domain, at_ms, text, item),
        item=item,
        category=texts["category"],
        weight=float(weight),
    )
    return str(texts["user_id"]), signal
