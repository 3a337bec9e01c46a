"""The user's own signals as queries: searched beside the student's list by their telling words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from service.languages import ENGLISH, Language
from service.records import Query, Signal
from service.remembered import Remembered
from service.words.noise import MAX_CHARS, telling_text
from service.words.text import clean

MOST_SIGNALS = 64
"""Newest signals that a list is set beside: more than a prompt shows or than are searched."""

_told: Remembered[dict[str, Query]] = Remembered()
"""A request asks twice with the same signals: while its list is written, and then with the list."""


def own_queries(
    signals: Sequence[Signal], limit: int, weight: float, language: Language = ENGLISH
) -> tuple[Query, ...]:
    """The newest distinct signals, newest first, at most `limit`.

    Each weighs `weight` times its signal's own weight. Signals without a telling word (numbers,
    emoji, "facebook login") find nothing worth showing and are left out; what tells the same but
    for case is one query, weighed by the newest and crediting every signal that says it. `signals`
    are oldest first.
    """
    if limit <= 0 or weight <= 0:
        return ()
    same: dict[str, tuple[str, list[Signal]]] = {}
    for signal in reversed(signals):
        text = telling_text(signal.text, signal.domain, language)
        if (key := text.casefold()) in same:
            same[key][1].append(signal)
        elif text and len(same) < limit:
            same[key] = (text, [signal])
    return tuple(
        Query(
            text,
            weight * alike[0].weight,
            "signal",
            (alike[0].id,) if len(alike) == 1 else tuple(signal.id for signal in alike),
            clean(alike[0].text[:MAX_CHARS]),
        )
        for text, alike in same.values()
    )


def beside(
    written: Sequence[Query],
    signals: Sequence[Signal],
    limit: int,
    weight: float,
    language: Language = ENGLISH,
) -> tuple[Query, ...]:
    """A list as it is served: its queries, then those of own signals that no query of it repeats.

    `limit` and `weight` are of the own queries (`own_queries`). A written query that repeats a
    signal stands for it: searching the same words twice would find the same, and its place goes to
    the next newest. It credits every signal that says it, and weighs its own weight times the
    newest such signal's.
    """
    signals = tuple(signals)
    told = _told.get((signals,), language)
    if told is None:
        recent = signals[-MOST_SIGNALS:]
        owned = own_queries(recent, len(recent), 1.0, language)
        told = {own.text.casefold(): own for own in owned}
        _told.put(told, (signals,), language)
    rest = dict(told)
    together = []
    for query in written:
        if own := rest.pop(query.text.casefold(), None):
            credited = tuple(dict.fromkeys((*query.signals, *own.signals)))
            query = replace(
                query, weight=query.weight * own.weight, signals=credited, said=own.said
            )
        together.append(query)
    if limit <= 0 or weight <= 0:
        return tuple(together)
    others = islice(rest.values(), limit)
    return (*together, *(_weighed(own, weight * own.weight) for own in others))


def _weighed(own: Query, weight: float) -> Query:
    """The query with another weight: `replace`, in half of its time."""
    return Query(own.text, weight, own.origin, own.signals, own.said)
