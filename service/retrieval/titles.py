"""Near-duplicate titles: the same story under two ids, found by comparing words, not meanings.

A title becomes the set of its pairs of neighbouring words (of its only word, if it has one). Two
titles are near-duplicates when the Jaccard similarity of their sets reaches a threshold (Broder,
"On the resemblance and containment of documents", 1997). Titles are short, so the similarity is
exact, and only pairs worth comparing are looked at: sets as similar as `t` share a member of their
first `n - ceil(t * n) + 1` under one global order (prefix filter, Chaudhuri et al., ICDE 2006).

What stands around a title in a copy of it is taken off before: the agency or the paper ("Reuters:
X", "X | BBC News"), a dateline, "UPDATE 2-". A title of fewer than three telling words ("Obituary",
"Letters to the editor") stands over many pieces, so it repeats nothing and nothing repeats it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import ceil
from unicodedata import east_asian_width

from service.words.text import STOP_WORDS

_WORD = re.compile(r"\w+")
_CACHED_TITLES = 20_000
"""As many as there are articles in a table of hits, so that none has to be read again."""
_EPSILON = 1e-9
_LEAST_TELLING = 3
_EDGE_CHARS = 96
"""Characters at either end of a title in which the name of a source is looked for."""

_AGENCIES = (
    "reuters|thomson reuters|(?:the )?associated press|ap|ap news|afp|agence france[- ]presse|dpa|"
    "pa|pa media|press association|upi|united press international|ani|ians|pti|tass|xinhua|kyodo|"
    "efe|ansa|bloomberg|bbc|bbc sport|cnn|nbc|cbs|abc|npr|pbs|espn|dw|deutsche welle|al jazeera|"
    "euronews|axios|politico|msnbc|msn|yahoo|the independent|the hill|the economist|the verge"
)
_PAPERS = (
    r"(?:[\w.'’&-]{1,24} ){1,3}(?:news|times|post|herald|tribune|journal|gazette|guardian|"
    r"telegraph|observer|chronicle|press|magazine|standard|today|online)"
    r"|the (?:guardian|times|telegraph|sun)"
)
_SITES = r"(?:[\w-]{1,40}\.){1,3}(?:com|org|net|info|tv|uk|au|ca|in|ie|nz|de|fr|es|it|eu)"
_SOURCE = f"(?:{_AGENCIES}|{_PAPERS}|{_SITES})"
_BEFORE = re.compile(
    rf"(?:{_SOURCE}(?:\s*[:|]|\s+[-–—])"
    rf"|[(\[]{_SOURCE}[)\]]\s*[-–—:]*|[^\W\d_][\w .,'’/-]{{0,24}} \({_SOURCE}\)\s*[-–—:]"
    r"|(?:update|correction|breaking|breaking news|exclusive)(?:\s*\d{1,2})?\s*[-–—:|])\s*"
)
_BEHIND = re.compile(rf"\s(?:[-–—|·•/]\s+{_SOURCE}|[(\[]{_SOURCE}[)\]])\s*\Z")


_Shingles = tuple[frozenset[str], tuple[str, ...]]


@lru_cache(_CACHED_TITLES)
def _shingles(title: str, threshold: float) -> _Shingles:
    """The title's word pairs, and those of them that a near-duplicate must share one of.

    Both are empty where the title says too little to be compared.
    """
    words = _WORD.findall(without_source(title))
    if _telling(words) < _LEAST_TELLING:
        return frozenset(), ()
    pairs = frozenset(map(" ".join, pairwise(words)) if words[1:] else words)
    prefix = len(pairs) - ceil(threshold * len(pairs) - _EPSILON) + 1
    return pairs, tuple(sorted(pairs)[:prefix])


def without_source(title: str) -> str:
    """The title in lower case, without the names of who brings it before and behind it."""
    text = title.casefold().strip()
    while match := _BEFORE.match(text[:_EDGE_CHARS]):
        text = text[match.end() :]
    while match := _BEHIND.search(text[-_EDGE_CHARS:]):
        text = text[: match.start() - len(text[-_EDGE_CHARS:]) + len(text)].rstrip()
    return text


def _telling(words: Sequence[str]) -> int:
    """How many words tell something. Of scripts without blanks two characters count as a word."""
    return sum(
        max(1, sum(east_asian_width(c) in "WF" for c in word) // 2)
        for word in words
        if word not in STOP_WORDS
    )


class TitleIndex:
    """Titles added so far, numbered 0, 1, … in order; finds the first that a new one repeats."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._kept: list[_Shingles] = []
        self._seen: set[str] = set()
        self._by_shingle: dict[str, list[int]] = {}
        """Of the first `_looked_up` titles: most lists never need it."""
        self._looked_up = 0

    def __len__(self) -> int:
        """Titles added that repeated none before them."""
        return len(self._kept)

    def add(self, title: str) -> int | None:
        """Add a title, unless it repeats an earlier one: then return that one's number.

        Case, punctuation and spacing don't count, nor who brings it. A title that says too little
        repeats nothing.
        """
        shingles = _shingles(title, self._threshold)
        prefix = shingles[1]
        if not self._seen.isdisjoint(prefix):
            found = self._first_like(*shingles)
            if found is not None:
                return found
        self._seen.update(prefix)
        self._kept.append(shingles)
        return None

    def holds(self, title: str) -> bool:
        """Whether a title repeats one of those added. It is not added itself."""
        return self._first_like(*_shingles(title, self._threshold)) is not None

    def _first_like(self, shingles: frozenset[str], prefix: tuple[str, ...]) -> int | None:
        """The number of the first title that one with these word pairs repeats."""
        by_shingle = self._by_shingle
        for number in range(self._looked_up, len(self._kept)):
            for shingle in self._kept[number][1]:
                by_shingle.setdefault(shingle, []).append(number)
        self._looked_up = len(self._kept)
        for other in sorted({n for shingle in prefix for n in by_shingle.get(shingle, ())}):
            theirs, _ = self._kept[other]
            common = len(shingles & theirs)
            either = len(shingles) + len(theirs) - common
            if common >= self._threshold * either - _EPSILON:
                return other
        return None
