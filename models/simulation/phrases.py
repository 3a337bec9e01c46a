"""Key phrases of headlines: what a page, a search or a query calls a story. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from service.words.text import STOP_WORDS, clean, stem_all, stems, word_set, words

_DULL = word_set(
    """
    says say said new may one first make makes made people look show shows day year years time
    week photos video things back want wants need know calls call called take takes best way gets
    reportedly report like could would really even still also many two three four five got big
    goes going finally never every here's these what's trying tell tells told amid huffpost
    top far u.s pro latest explained according claims thinks thing away come comes old former
    another since until without next last night right little bad good great
    """
)
_AROUND = ".,;:!?\"'()[]“”‘’"
_SENTENCE_ENDS = (".", "!", "?", ":", '."', ".”", "?”", "!”", "“", '"')
_POSSESSIVE = re.compile(r"['’]s$")


@dataclass(frozen=True)
class Rarity:
    """How rare a stem is among `articles` texts: ln(1 + n / (1 + documents that hold it))."""

    articles: int
    counts: Mapping[str, int]
    _known: dict[str, float] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Rarity:
        """Count the documents of every stem."""
        listed = list(texts)
        counts: Counter[str] = Counter()
        for text in listed:
            counts.update(stems(text))
        return cls(len(listed), counts)

    def __call__(self, stem: str) -> float:
        """The rarity of one stem, above 0."""
        if (known := self._known.get(stem)) is None:
            known = math.log(1 + self.articles / (1 + self.counts.get(stem, 0)))
            self._known[stem] = known
        return known


def key_phrases(text: str, rarity: Rarity, *, longest: int = 4) -> list[str]:
    """Stretches of two to `longest` telling words in a row, the rarest first.

    Words keep their spelling, without a possessive's end. A text with one telling word gives it.
    """
    found: list[tuple[float, int, str]] = []
    single: list[str] = []
    for stretch in stretches(text):
        keys = stem_all(stretch)
        weights = [rarity(key) for key in keys]
        single += stretch
        for size in range(2, longest + 1):
            for start in range(len(stretch) - size + 1):
                part = weights[start : start + size]
                # Longer is a little better at the same mean: two words seldom tell a story.
                worth = sum(part) / size * (1 + 0.15 * (size - 2))
                found.append((-worth, start, " ".join(stretch[start : start + size])))
    found.sort()
    return [phrase for _, _, phrase in found] or single[:1]


def stretches(text: str) -> list[list[str]]:
    """Runs of telling words: broken at stop words, dull words, numbers alone and punctuation."""
    runs: list[list[str]] = [[]]
    for part in re.split(r"[,.;:!?()\[\]\"“”|–—/]+(?=\s|$)|\s[-–—]\s|[\"“”]", clean(text)):
        runs.append([])
        for word in words(part):
            bare = _POSSESSIVE.sub("", word)
            lower = bare.lower()
            if lower in STOP_WORDS or lower in _DULL or not any(c.isalpha() for c in bare):
                runs.append([])
            else:
                runs[-1].append(bare)
    return [run for run in runs if run]


def written_small(texts: Iterable[str]) -> frozenset[str]:
    """The words that these sentences mostly write in small letters where no sentence begins."""
    small: Counter[str] = Counter()
    for text in texts:
        begins = True
        for token in text.split():
            bare = token.strip(_AROUND)
            if not begins and bare and not bare.isupper():
                small[bare.lower()] += 1 if bare.islower() else -1
            begins = token.endswith(_SENTENCE_ENDS)
    return frozenset(word for word, more in small.items() if more > 0)


def sentence_case(headline: str, small: Container[str]) -> str:
    """A headline as other papers print it: its words in small letters but the first and names."""
    words_ = headline.split()
    return " ".join(
        [
            word if place == 0 or word.strip(_AROUND).lower() not in small else word.lower()
            for place, word in enumerate(words_)
        ]
    )
