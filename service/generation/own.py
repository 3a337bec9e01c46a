"""The user's own signals as queries: searched beside the student's list by their telling words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from service.languages import ENGLISH, Language
from service.records import Query, Signal
from service.words.noise import MAX_CHARS, telling_text
from service.words.text import clean

MOST_SIGNALS = 64
"""Newest signals that a list is set beside: more than a prompt shows or than are searched."""


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
            text=text,
            weight=weight * alike[0].weight,
            origin="signal",
            signals=tuple(signal.id for signal in alike),
            said=clean(alike[0].text[:MAX_CHARS]),
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
    recent = signals[-MOST_SIGNALS:]
    rest = {own.text.casefold(): own for own in own_queries(recent, len(recent), 1.0, language)}
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
    return (*together, *(replace(own, weight=weight * own.weight) for own in others))
