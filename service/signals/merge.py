"""Stored signals and those of the request, as one history."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from operator import attrgetter

from service.records import Signal
from service.remembered import Remembered

_of_stored: Remembered[tuple[Signal, ...]] = Remembered(500)

_when_and_which = attrgetter("at_ms", "id")


def signal_id(domain: str, at_ms: int, text: str, item: str | None = None) -> str:
    """A stable id for an event that came without one: the same event always gets the same."""
    parts = (domain, str(at_ms), text, "" if item is None else f"={item}")
    content = "\x00".join(parts).encode(errors="surrogatepass")
    return f"~{hashlib.blake2b(content, digest_size=10).hexdigest()}"


def identified(signals: Iterable[Signal]) -> tuple[Signal, ...]:
    """The same signals, those with an empty id given one that is made from their content."""
    return tuple(
        signal
        if signal.id
        else Signal(
            signal.at_ms,
            signal.domain,
            signal.text,
            signal_id(signal.domain, signal.at_ms, signal.text, signal.item),
            signal.item,
            signal.category,
            signal.weight,
        )
        for signal in signals
    )


def merge(stored: tuple[Signal, ...], inline: Sequence[Signal], limit: int) -> tuple[Signal, ...]:
    """The newest `limit` signals of both, oldest first; of two with one id the stored one stays.

    The same tuple for the same stored one, where there are none of the request.
    """
    if limit <= 0:
        return ()
    if inline:
        return _merged((*stored, *identified(inline)), limit)
    known = _of_stored.get((stored,), limit)
    if known is None:
        known = _merged(stored, limit)
        _of_stored.put(known, (stored,), limit)
    return known


def _merged(every: Sequence[Signal], limit: int) -> tuple[Signal, ...]:
    # Backwards, so that the first with an id is what stays.
    by_id = {signal.id: signal for signal in reversed(every)}
    # The id breaks ties, so that the order never depends on where a signal came from.
    ordered = sorted(by_id.values(), key=_when_and_which)
    return tuple(ordered[-limit:])
