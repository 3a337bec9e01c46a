"""The user's own signals as queries: searched beside the student's list, as they stand."""

from __future__ import annotations

from collections.abc import Sequence

from service.records import Query, Signal


def own_queries(signals: Sequence[Signal], limit: int, weight: float) -> tuple[Query, ...]:
    """The newest distinct signals, newest first, at most `limit`.

    Each weighs `weight` times its signal's own weight. Signals without a letter (numbers, codes,
    emoji) find nothing worth showing and are left out; texts that differ only in case or spacing
    are one query, weighed by the newest and crediting every signal that says it. `signals` are
    oldest first.
    """
    if limit <= 0 or weight <= 0:
        return ()
    same: dict[str, list[Signal]] = {}
    for one in reversed(signals):
        words = " ".join(one.text.casefold().split())
        if words in same:
            same[words].append(one)
        elif len(same) < limit and any(letter.isalpha() for letter in words):
            same[words] = [one]
    return tuple(
        Query(
            text=" ".join(alike[0].text.split()),
            weight=weight * alike[0].weight,
            origin="signal",
            signals=tuple(one.id for one in alike),
        )
        for alike in same.values()
    )
