"""Words and stems: how this stage decides that two texts speak of the same thing. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache

import Stemmer

from service.languages import ENGLISH, Language
from service.words.listed import lists_of, snowball_stop_words

_WORD = re.compile(r"[^\W_]+(?:['.][^\W_]+)*")
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "＇": "'"})
# Invisible (Cf), control (Cc), lone surrogates (Cs), private use (Co).
_UNPRINTABLE = frozenset({"Cf", "Cc", "Cs", "Co"})
_LONGEST_WORD = 48
"""Characters of a word that are stemmed: beyond it is a hash or a URL, not a word."""


def word_set(listed: str) -> frozenset[str]:
    """A set out of words that stand between blanks."""
    return frozenset(listed.split())


STOP_WORDS = word_set(
    """
    a about after again against all also am an and any are aren't as at be because been before
    being below between both but by can can't cannot could couldn't did didn't do does doesn't
    doing don't down during each few for from further get gets getting got had hadn't has hasn't
    have haven't having he he's her here here's hers herself him himself his how how's i i'd i'll
    i'm i've if in into is isn't it it's its itself just let let's me more most mustn't my myself
    no nor not of off on once only or other our ours out over own same shall she she's should
    shouldn't so some such than that that's the their theirs them themselves then there there's
    these they they're they've this those through to too under until up us very via was wasn't we
    we'll we're we've were weren't what what's when when's where where's which while who who's whom
    whose why why's will with won't would wouldn't you you'd you'll you're you've your yours
    yourself yourselves
    """
)


def clean(text: str) -> str:
    """NFC, nothing invisible, every run of white space one blank, no blanks at the ends."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.replace("\ufffd", " "))
    spaced = " ".join(text.split())
    if spaced.isprintable():
        return spaced
    visible = "".join(c for c in spaced if unicodedata.category(c) not in _UNPRINTABLE)
    # What was taken out may have joined two characters that compose, or left blanks at an end.
    return " ".join(unicodedata.normalize("NFC", visible).split())


def words(text: str) -> list[str]:
    """The words as they are written, in order: letters and digits, with inner `'` and `.`."""
    return _WORD.findall(text if text.isascii() else text.translate(_APOSTROPHES))


@cache
def small_words(language: Language) -> frozenset[str]:
    """The stop words of signals and queries: some more than the indexes drop."""
    if language == ENGLISH:
        return STOP_WORDS
    return snowball_stop_words(language) | word_set(lists_of(language).get("also_stop", ""))


@cache
def _stemmer(language: Language) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(language)


def stem_all(listed: Iterable[str], language: Language = ENGLISH) -> list[str]:
    """The Snowball stem of each word, in lower case: what both indexes search by."""
    lowered = [word[:_LONGEST_WORD].lower() for word in listed]
    stemmed: list[str] = _stemmer(language).stemWords(lowered)
    return stemmed


@lru_cache(maxsize=4096)
def stems(text: str, language: Language = ENGLISH) -> frozenset[str]:
    """Stems of the words that carry meaning; of all words where none does ("The Who").

    The same signals come back with every sample and every request of a user, hence the cache.
    """
    lowered = words(text.lower())
    small = small_words(language)
    telling = [word for word in lowered if word not in small]
    return frozenset(stem_all(telling or lowered, language))


def alike(left: frozenset[str], right: frozenset[str], share: float) -> bool:
    """Whether the Jaccard index of two stem sets is at least `share`; empty sets are unlike all."""
    common = len(left & right)
    return common > 0 and common >= share * (len(left) + len(right) - common) - 1e-9


def shorten(text: str, max_words: int, max_chars: int) -> str:
    """The first blank-separated words that fit both bounds; empty if even the first is too long."""
    kept: list[str] = []
    length = -1
    for word in text.split()[:max_words]:
        length += len(word) + 1
        if length > max_chars:
            break
        kept.append(word)
    return " ".join(kept)


def has_substance(text: str) -> bool:
    """Whether there is a letter or a digit in it, of whatever script."""
    return any(c.isalnum() for c in text)


def distinct(items: Iterable[str]) -> tuple[str, ...]:
    """The items without repeats, in the order of their first appearance."""
    return tuple(dict.fromkeys(items))
