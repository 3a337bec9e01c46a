"""A signal as a member of its user's sorted set, and kept lists as fields of a hash.

A member is `<event id> <payload>`: the id, one space, a JSON object. In the id, white space,
control characters and `%` are percent-encoded; the score of the member is the event's time in ms.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, get_args
from urllib.parse import unquote_to_bytes

import orjson

from service.errors import InvalidInput
from service.limits import ARTICLE_ID_BYTES
from service.records import DOMAINS, Domain, KeptList, Origin, Query, Signal, UserState

MEMBER_BYTES = 512
ID_BYTES = 128
CATEGORY_BYTES = 64
MOST_WEIGHT = 100.0
"""A heavier signal or query weighs this much: the bound of the API, which other writers may not
keep. Weights of any size would add up to scores that are no numbers."""

_DOMAINS: dict[str, Domain] = {domain: domain for domain in DOMAINS}
_ORIGINS: dict[object, Origin] = {origin: origin for origin in get_args(Origin)}
_TO_ESCAPE = re.compile(r"[%\s\x00-\x1f\x7f-\x9f]")
_MAX_MS = 2.0**53
"""Scores are doubles: above this they no longer hold every millisecond."""


class CorruptEntry(ValueError):
    """A stored entry that cannot be read."""


def encode(signal: Signal, index: int = 0) -> bytes:
    """The member of a signal, at most 512 bytes; the text is cut where it must be.

    Raises `InvalidInput` naming `signals[index].…` for what cannot be stored: an id or item longer
    than 128 bytes, a weight that is not a positive number, text that is not Unicode.
    """
    where = f"signals[{index}]"
    if not math.isfinite(signal.weight) or signal.weight <= 0:
        raise InvalidInput("must be a positive number", field=f"{where}.weight")
    try:
        event = _TO_ESCAPE.sub(_escape, signal.id).encode()
        item = None if signal.item is None else signal.item.encode()
        category = None if signal.category is None else signal.category.encode()
        signal.text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("must be valid Unicode", field=where) from error
    if not 1 <= len(event) <= ID_BYTES:
        raise InvalidInput(f"must have 1 to {ID_BYTES} bytes", field=f"{where}.id")
    if item is not None and len(item) > ARTICLE_ID_BYTES:
        raise InvalidInput(f"must have at most {ARTICLE_ID_BYTES} bytes", field=f"{where}.item")
    payload: dict[str, Any] = {"d": signal.domain, "t": signal.text}
    if item is not None:
        payload["u"] = signal.item
    if category is not None:
        payload["c"] = _cut(category, CATEGORY_BYTES)
    if signal.weight != 1.0:
        payload["w"] = signal.weight
    member = event + b" " + orjson.dumps(payload)
    if len(member) <= MEMBER_BYTES:
        return member
    room = MEMBER_BYTES - len(event) - 1 - len(orjson.dumps({**payload, "t": ""}))
    payload["t"] = _fitting(signal.text, room)
    if not payload["t"]:
        field = "id" if item is None else "item"
        raise InvalidInput("leaves no room for the text", field=f"{where}.{field}")
    return event + b" " + orjson.dumps(payload)


def decode(member: bytes, score: float) -> Signal:
    """The signal of a member. Raises `CorruptEntry` for what `encode` could not have written.

    Unknown fields of the payload are passed over: writers may be newer than we are. A weight above
    `MOST_WEIGHT` is taken as that.
    """
    event, space, document = member.partition(b" ")
    if not event or not space or len(member) > MEMBER_BYTES or not 0.0 <= score <= _MAX_MS:
        raise CorruptEntry("not `<event id> <payload>` with a time in ms")
    try:
        payload = orjson.loads(document)
        # orjson checks the payload's UTF-8, `decode` the id's.
        name = event.decode()
        if "%" in name:
            name = unquote_to_bytes(event).decode()
    except ValueError as error:
        raise CorruptEntry("not UTF-8 JSON") from error
    if type(payload) is not dict:
        raise CorruptEntry("the payload is not an object")
    found = payload.get
    domain, text, item, category = found("d"), found("t"), found("u"), found("c")
    if type(domain) is not str or domain not in _DOMAINS or type(text) is not str:
        raise CorruptEntry("no known domain or no text")
    if not (item is None or type(item) is str) or not (category is None or type(category) is str):
        raise CorruptEntry("item or category is not a text")
    weight = found("w", 1.0)
    if weight != 1.0 or type(weight) is not float:
        if type(weight) not in (int, float) or not 0 < weight < math.inf:
            raise CorruptEntry("the weight is not a positive number")
        weight = min(float(weight), MOST_WEIGHT)
    return Signal(int(score), _DOMAINS[domain], text, name, item, category, weight)


def encode_list(kept: KeptList) -> bytes:
    """The value of a kept list: JSON with fingerprint, time and queries."""
    queries = [[query.text, query.weight, query.origin, query.signals] for query in kept.queries]
    return orjson.dumps({"at": kept.made_at_ms, "fp": kept.fingerprint, "q": queries})


def decode_list(field: bytes, value: bytes) -> KeptList:
    """The kept list of a field. Raises `CorruptEntry` for what `encode_list` did not write."""
    try:
        document = orjson.loads(value)
        made_at_ms, fingerprint = document["at"], document["fp"]
        if type(made_at_ms) is not int or type(fingerprint) is not str:
            raise CorruptEntry("no time or no fingerprint")
        queries = tuple(_query(*row) for row in document["q"])
        return KeptList(field.decode(), fingerprint, made_at_ms, queries)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptEntry("not a kept list") from error


def _query(text: object, weight: object, origin: object, signals: object) -> Query:
    if not isinstance(text, str) or not isinstance(weight, int | float) or weight <= 0:
        raise CorruptEntry("a query without text or weight")
    known = _ORIGINS.get(origin)
    if known is None or not isinstance(signals, list):
        raise CorruptEntry("a query without an origin")
    if not all(isinstance(signal, str) for signal in signals):
        raise CorruptEntry("a signal's id is not a text")
    return Query(text, min(float(weight), MOST_WEIGHT), known, tuple(signals))


def _cut(text: bytes, size: int) -> str:
    """At most `size` bytes of UTF-8, ending between characters."""
    return text[:size].decode(errors="ignore")


def _fitting(text: str, room: int) -> str:
    """The longest beginning of a text that takes at most `room` bytes within a JSON string."""
    # By halves, since what a character takes depends on which it is: one byte, or six.
    fits, too_long = 0, min(len(text), max(room, 0)) + 1
    while fits + 1 < too_long:
        middle = (fits + too_long) // 2
        if len(orjson.dumps(text[:middle])) - 2 <= room:
            fits = middle
        else:
            too_long = middle
    return text[:fits]


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


def read_state(
    signals: Sequence[bytes], lists: Sequence[bytes], tombstone: bytes, wrong: int, read_at_ms: int
) -> UserState:
    """What `scripts.GET` returned, read; what can't be read is counted, `wrong` keys with it."""
    erased_ms = int(tombstone) if tombstone.isdigit() else -1
    corrupt = wrong
    by_id: dict[str, Signal] = {}
    pairs = iter(signals)
    for member, score in zip(pairs, pairs, strict=True):
        try:
            signal = decode(member, float(score))
        except CorruptEntry:
            corrupt += 1
            continue
        if signal.at_ms > erased_ms:
            # From the newest to the oldest: of two that a foreign writer stored under one id, the
            # earlier stays.
            by_id.pop(signal.id, None)
            by_id[signal.id] = signal
    kept: list[KeptList] = []
    for field, value in zip(lists[::2], lists[1::2], strict=True):
        try:
            listed = decode_list(field, value)
        except CorruptEntry:
            corrupt += 1
            continue
        if listed.made_at_ms > erased_ms:
            kept.append(listed)
    kept.sort(key=lambda listed: listed.made_at_ms, reverse=True)
    return UserState(tuple(reversed(by_id.values())), tuple(kept), corrupt, read_at_ms)
