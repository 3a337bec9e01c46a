"""Which of a person's own words a line begins with: names and things that a newspaper knows.

A small model taught with an editor's words alone learns which interests there are, and stops
reading: the words of the signals before the interest's name make it look at them first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import log

from service.records import Article, Signal
from service.words.noise import telling_text
from service.words.text import stems, words

_FEW = 2
"""Articles that have to hold a word, for it to find anything."""
_COMMON = 0.02
"""Share of the articles from which on a word tells nothing."""
_SHORT = 3


class Newspaper:
    """How many articles hold a word."""

    def __init__(self, articles: Iterable[Article]) -> None:
        counted: Counter[str] = Counter()
        self._all = 0
        for article in articles:
            self._all += 1
            counted.update(stems(f"{article.title} {article.abstract}"))
        self._holding = counted

    def telling(self, stem: str) -> float:
        """How much a word tells, 0 for what is in nearly no article or in very many."""
        holding = self._holding[stem]
        if holding < _FEW or holding > max(_COMMON * self._all, _FEW):
            return 0.0
        return log(self._all / holding)


def own_words(
    signals: Sequence[Signal], query: str, newspaper: Newspaper, most: int
) -> tuple[str, ...]:
    """The most telling words of these signals that the query lacks, in the order they were said.

    A word of several signals tells more.
    """
    said_first: dict[str, str] = {}
    times: Counter[str] = Counter()
    known = stems(query)
    for signal in signals:
        for word in dict.fromkeys(words(telling_text(signal.text, signal.domain))):
            (stem,) = stems(word) or {""}
            if stem and stem not in known and len(word) >= _SHORT and newspaper.telling(stem):
                times[stem] += 1
                said_first.setdefault(stem, word)
    best = sorted(times, key=lambda stem: -times[stem] * newspaper.telling(stem))[:most]
    return tuple(word for stem, word in said_first.items() if stem in best)
