"""Near-duplicate titles: the same story under two ids, found by comparing words, not meanings.

A title becomes the set of its pairs of neighbouring words (of its only word, if it has one). Two
titles are near-duplicates when the Jaccard similarity of their sets reaches a threshold (Broder,
"On the resemblance and containment of documents", 1997). Titles are short, so the similarity is
exact, and only pairs worth comparing are looked at: sets as similar as `t` share a member of their
first `n - ceil(t * n) + 1` under one global order (prefix filter, Chaudhuri et al., ICDE 2006).
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from math import ceil

_WORD = re.compile(r"\w+")
_CACHED_TITLES = 8_192
_EPSILON = 1e-9


@lru_cache(_CACHED_TITLES)
def _shingles(title: str, threshold: float) -> tuple[frozenset[str], tuple[str, ...]]:
    """The title's word pairs, and those of them that a near-duplicate must share one of."""
    words = _WORD.findall(title.casefold())
    pairs = frozenset(map(" ".join, pairwise(words)) if words[1:] else words)
    prefix = len(pairs) - ceil(threshold * len(pairs) - _EPSILON) + 1
    return pairs, tuple(sorted(pairs)[:prefix])


class TitleIndex:
    """Titles added so far, numbered 0, 1, … in order; finds the first that a new one repeats."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._sets: list[frozenset[str]] = []
        self._by_shingle: dict[str, tuple[int, ...]] = {}

    def add(self, title: str) -> int | None:
        """Add a title, unless it repeats an earlier one: then return that one's number.

        Case, punctuation and spacing don't count. A title without a word repeats nothing.
        """
        shingles, prefix = _shingles(title, self._threshold)
        by_shingle = self._by_shingle
        number = len(self._sets)
        if by_shingle.keys().isdisjoint(prefix):
            by_shingle.update(dict.fromkeys(prefix, (number,)))
        else:
            for other in sorted({n for shingle in prefix for n in by_shingle.get(shingle, ())}):
                theirs = self._sets[other]
                common = len(shingles & theirs)
                either = len(shingles) + len(theirs) - common
                if common >= self._threshold * either - _EPSILON:
                    return other
            for shingle in prefix:
                by_shingle[shingle] = (*by_shingle.get(shingle, ()), number)
        self._sets.append(shingles)
        return None
