"""How many articles of a stretch of time hold a word. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from service.words.text import stems


@dataclass(frozen=True)
class Usage:
    """Stems to the positions of the texts that hold them, ascending: an inverted index."""

    positions: Mapping[str, Sequence[int]]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Usage:
        """Look through texts in the order of their time."""
        found: dict[str, list[int]] = defaultdict(list)
        for position, text in enumerate(texts):
            for stem in stems(text):
                found[stem].append(position)
        return cls(dict(found))

    def within(self, stem: str, first: int, last: int) -> int:
        """How many of the texts `first` to `last` (exclusive) hold the stem."""
        held = self.positions.get(stem, ())
        return bisect_left(held, last) - bisect_left(held, first)
