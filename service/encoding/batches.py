"""Which texts a model reads together. Pure.

A run of a model is a rectangle: every text is filled up to the longest. So few runs waste places,
and many cost what every run costs, whatever is in it.
"""

from __future__ import annotations

from collections.abc import Sequence

_RUN_COSTS = 16
"""What a run costs beside its places, in places of 65 µs (six layers of 384, one core with
AVX-512). A run of one place takes 0.5 ms; counted as 1 ms, requests of 20 texts took least."""
_MOST_PLACES = 768
"""Of a run of several texts. More do not fit beside each other into a core's own memory: 64 texts
of 48 tokens took a quarter longer for each than 16."""


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """Numbers of the texts that are read together, so that all together cost least.

    `lengths` are the tokens of each text. Every text is in one batch; a batch holds texts of like
    length, and up to 768 places.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    # least[n]: what the n shortest texts cost, and begins[n]: where their last batch begins.
    least, begins = [0], [0]
    for end, number in enumerate(order, 1):
        longest = lengths[number]
        texts = min(end, max(1, _MOST_PLACES // max(1, longest)))
        costs = [least[begin] + (end - begin) * longest for begin in range(end - texts, end)]
        cheapest = min(range(texts), key=costs.__getitem__)
        least.append(costs[cheapest] + _RUN_COSTS)
        begins.append(end - texts + cheapest)
    found = []
    end = len(order)
    while end:
        found.append(order[begins[end] : end])
        end = begins[end]
    return found[::-1]
