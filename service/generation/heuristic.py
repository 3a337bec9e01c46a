"""Queries without a model: what the recent signals speak of, each interest in its own words. Pure.

The last rung but one, and a baseline to beat. Signals that share most of their stems are one
interest; its query is the telling words of its weightiest signal, then those the others add.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from service.languages import ENGLISH, Language
from service.records import Domain, Query, Signal
from service.words.noise import telling_words
from service.words.text import stem_all

DOMAIN_WEIGHT: dict[Domain, float] = {
    "news": 1.0,
    "search": 0.9,
    "video": 0.6,
    "browse": 0.6,
    "purchase": 0.4,
}
HALF_LIFE_MS = 7 * 24 * 3_600_000
"""Age at which a signal counts half as much, reckoned from the user's newest signal."""
LEAST_WEIGHT = 0.25
"""Weight of an interest that is next to nothing beside the strongest, which weighs 1."""
MAX_WORDS = 12
"""Words of a query: a whole headline and a little more."""
MAX_HEARD = 32
"""Telling words of a signal that are compared with others', three headlines' worth: so the pairs of
signals that share a word are bounded, however long their texts are."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """A signal with its telling words by stem, in order, and what it counts."""

    signal: Signal
    words: dict[str, str]
    counts: float


def heuristic_queries(
    signals: Sequence[Signal], max_queries: int, language: Language = ENGLISH
) -> tuple[Query, ...]:
    """At most `max_queries` queries, the strongest interest first; empty if no signal tells any.

    An interest's strength is the sum over its signals of domain weight × signal weight ×
    0.5^(age / half-life). The age counts from the newest signal, so nothing depends on when this
    runs. Its weight is `0.25 + 0.75 · sqrt(strength / the strongest's)`, so that repeats count
    less and less.

    Monotone: one more signal that belongs to an interest (whatever its time and domain) lowers
    neither that interest's weight nor its rank, since a newer "now" ages all interests by the same
    factor. Two interests that the new signal connects become one, with the strength of both. So an
    interest that had a query keeps one.
    """
    heard = _hear(signals, language)
    ranked = []
    for interest in _interests(heard):
        interest.sort(
            key=lambda hearing: (-hearing.counts, -hearing.signal.at_ms, hearing.signal.id)
        )
        strength = math.fsum(hearing.counts for hearing in interest)
        newest = max(hearing.signal.at_ms for hearing in interest)
        ranked.append((-strength, -newest, interest[0].signal.id, interest))
    ranked.sort(key=lambda entry: entry[:3])
    return tuple(
        Query(
            text=_words_of(interest),
            weight=LEAST_WEIGHT + (1 - LEAST_WEIGHT) * math.sqrt(strength / ranked[0][0]),
            origin="heuristic",
            signals=tuple(dict.fromkeys(hearing.signal.id for hearing in interest)),
        )
        for strength, _, _, interest in ranked[:max_queries]
    )


def _hear(signals: Sequence[Signal], language: Language) -> list[_Heard]:
    newest = max((signal.at_ms for signal in signals), default=0)
    heard = []
    for signal in signals:
        if not (math.isfinite(signal.weight) and signal.weight > 0):
            continue
        by_stem = _by_stem(signal.text, signal.domain, language)
        recency = 0.5 ** ((newest - signal.at_ms) / HALF_LIFE_MS)
        counts = DOMAIN_WEIGHT[signal.domain] * signal.weight * recency
        if by_stem and counts > 0:  # a signal of decades ago counts 0
            heard.append(_Heard(signal, by_stem, counts))
    return heard


@lru_cache(maxsize=4096)
def _by_stem(text: str, domain: Domain, language: Language) -> dict[str, str]:
    """The telling words of a signal by their stems. Kept, as the same signals come back: not to be
    changed."""
    telling = telling_words(text, domain, language)[:MAX_HEARD]
    by_stem: dict[str, str] = {}
    for key, word in zip(stem_all(telling, language), telling, strict=True):
        by_stem.setdefault(key, word)
    return by_stem


def _interests(heard: Sequence[_Heard]) -> list[list[_Heard]]:
    """Connected components of signals about the same thing.

    Two are about the same when they have the same stems, or share at least two that are half of
    the shorter one's. The rule looks at these two alone: a further signal can join interests but
    never part them.
    """
    by_stems: dict[frozenset[str], list[_Heard]] = defaultdict(list)
    for hearing in heard:
        by_stems[frozenset(hearing.words)].append(hearing)
    sets = sorted(by_stems, key=sorted)
    holders: dict[str, list[int]] = defaultdict(list)
    for index, stems in enumerate(sets):
        for each in stems:
            holders[each].append(index)
    common = Counter(pair for group in holders.values() for pair in combinations(group, 2))

    leader = list(range(len(sets)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    for (left, right), shared in common.items():
        if shared >= 2 and 2 * shared >= min(len(sets[left]), len(sets[right])):
            leader[find(left)] = find(right)
    interests: dict[int, list[_Heard]] = defaultdict(list)
    for index, stems in enumerate(sets):
        interests[find(index)] += by_stems[stems]
    return list(interests.values())


def _words_of(interest: Sequence[_Heard]) -> str:
    """The words of the weightiest signal, then the others' new ones, the most heard first."""
    first, *others = interest
    chosen = dict(first.words)
    support: dict[str, float] = defaultdict(float)
    spelled: dict[str, str] = {}
    for hearing in others:
        for key, word in hearing.words.items():
            support[key] += hearing.counts
            spelled.setdefault(key, word)
    for key in sorted(support, key=lambda key: (-support[key], key)):
        chosen.setdefault(key, spelled[key])
    return " ".join(list(chosen.values())[:MAX_WORDS])
