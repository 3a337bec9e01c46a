"""The user's own signals as queries: searched beside the student's list by their telling words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from service.generation.noise import telling_text
from service.records import Query, Signal


def own_queries(signals: Sequence[Signal], limit: int, weight: float) -> tuple[Query, ...]:
    """The newest distinct signals, newest first, at most `limit`.

    Each weighs `weight` times its signal's own weight. Signals without a telling word (numbers,
    emoji, "facebook login") find nothing worth showing and are left out; what tells the same but
    for case is one query, weighed by the newest and crediting every signal that says it. `signals`
    are oldest first.
    """
    if limit <= 0 or weight <= 0:
        return ()
    same: dict[str, tuple[str, list[Signal]]] = {}
    for one in reversed(signals):
        text = telling_text(one.text, one.domain)
        if (key := text.casefold()) in same:
            same[key][1].append(one)
        elif text and len(same) < limit:
            same[key] = (text, [one])
    return tuple(
        Query(
            text=text,
            weight=weight * alike[0].weight,
            origin="signal",
            signals=tuple(one.id for one in alike),
        )
        for text, alike in same.values()
    )


def beside(written: Sequence[Query], own: Sequence[Query]) -> tuple[Query, ...]:
    """A list as it is served: its queries, then the user's own.

    A written query that an own one repeats weighs as much as both, and stands for both: searching
    the same words twice would find the same.
    """
    same = {one.text.casefold(): one for one in own}
    together = []
    for query in written:
        if one := same.pop(query.text.casefold(), None):
            signals = tuple(dict.fromkeys((*query.signals, *one.signals)))
            query = replace(query, weight=query.weight + one.weight, signals=signals)
        together.append(query)
    return (*together, *same.values())
