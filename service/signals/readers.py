"""Files of signals: JSON lines of our own, and click logs in the format of MIND."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

import orjson

from service.errors import InvalidInput
from service.records import DOMAINS, Signal
from service.signals.clicks import Titles, click_signals
from service.signals.codec import encode
from service.signals.keys import user_keys
from service.signals.lines import RowErrors, open_lines
from service.signals.merge import signal_id
from service.signals.times import validate_times

_FIELDS = frozenset({"user_id", "at", "domain", "text", "id", "item", "category", "weight"})


@dataclass(slots=True)
class ReadLog:
    """What a reading left out: bad rows, and clicks on articles whose title nobody knows."""

    errors: RowErrors = field(default_factory=RowErrors)
    unknown_articles: int = 0


def read_signals(
    source: str, log: ReadLog, now_ms: int, titles: Titles | None = None, untimed_ms: int = 0
) -> Iterator[tuple[str, Sequence[Signal]]]:
    """User and signals of every readable row of a file: JSON lines or a click log, or gzipped.

    `source` is a path, or `-` for standard input. Signals without an id get one made from their
    content, so reading a file twice repeats and changes nothing. `now_ms` bounds the times,
    `untimed_ms` (default: `now_ms`) is given to the rows of logs that have none. Raises
    `InvalidInput` naming file and line when there are more bad rows than `log` allows.
    """
    name = "stdin" if source == "-" else source
    with open_lines(source) as rows:
        first = next(rows, None)
        if first is None:
            return
        is_log = not first[1].lstrip().startswith("{")
        if is_log and titles is None:
            raise InvalidInput(f"{name} is a click log: give the articles' titles with --news FILE")
        for number, row in chain([first], rows):
            try:
                if is_log:
                    user_id, signals, unknown = click_signals(
                        row, titles or {}, untimed_ms or now_ms
                    )
                    log.unknown_articles += unknown
                else:
                    user_id, signal = _signal(orjson.loads(row))
                    signals = [signal]
                user_keys(user_id)
                validate_times(signals, now_ms)
                for index, one in enumerate(signals):
                    encode(one, index)
            except orjson.JSONDecodeError as error:
                log.errors.add(name, number, f"not JSON: {error}")
            except ValueError as error:
                log.errors.add(name, number, str(error))
            except InvalidInput as error:
                place = (error.field or "row").rpartition(".")[2]
                log.errors.add(name, number, f"{place} {error}")
            else:
                yield user_id, signals


def _signal(row: object) -> tuple[str, Signal]:
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    if unknown := row.keys() - _FIELDS:
        raise ValueError(f"unknown field {min(unknown)!r}; known: {', '.join(sorted(_FIELDS))}")
    texts: dict[str, str | None] = {}
    for key in ("user_id", "domain", "text", "id", "item", "category"):
        value = row.get(key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise ValueError(f"{key} must be a text that is not blank")
        if value is None and key in ("user_id", "domain", "text"):
            raise ValueError(f"{key} is missing")
        texts[key] = value
    domain = next((one for one in DOMAINS if one == texts["domain"]), None)
    if domain is None:
        raise ValueError(f"domain must be one of {', '.join(DOMAINS)}")
    weight = row.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise ValueError("weight must be a number")
    at_ms, text, item = _time(row.get("at")), str(texts["text"]).strip(), texts["item"]
    signal = Signal(
        at_ms=at_ms,
        domain=domain,
        text=text,
        id=texts["id"] or signal_id(domain, at_ms, text, item),
        item=item,
        category=texts["category"],
        weight=float(weight),
    )
    return str(texts["user_id"]), signal


def _time(value: object) -> int:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    if not isinstance(value, str):
        raise ValueError("at is missing" if value is None else "at must be a text or a number")
    try:
        return parse_time(value)
    except ValueError:
        raise ValueError(f"at must be ISO 8601 or ms since 1970, not {value!r}") from None


def parse_time(text: str) -> int:
    """Milliseconds of an ISO 8601 time; without a zone it is UTC. Raises `ValueError`."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
