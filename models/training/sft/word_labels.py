"""What a student is taught to write: a query for each interest, in the user's own words.

A label uses what the user has done and articles published before `now`, never the future: phrases
that only the future explains cannot be learned. The simulator knows which signals are noise and
which come from one interest; of these, signals that mean nothing like each other are parted, since
nobody could tell that they belong together. A query holds the stretches of words that the
interest's signals say, the most supported and the rarest first, and those that news uses, in the
order in which they were said. A stem is used once in a list; the strongest interest comes first.

`docs/training-log.md` has what other forms of list scored.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.simulation.encoder import Vectors
from models.simulation.phrases import stretches
from models.simulation.users import SimulatedUser
from models.simulation.world import World
from service.records import Domain, Signal
from service.words.noise import telling_words
from service.words.text import stem_all, stems

_DAY_MS = 86_400_000
_HALF_LIFE_DAYS = 12.0
_PAST_DAYS = 400
_FEW = 3
"""Signals up to which a user is cold: then every interest counts, however little is known of it."""
_BOUGHT = 0.5
"""Support by a purchase, where any other signal gives 1: goods name hardly any story."""
_UNUSED = 0.3
"""What a word that no news uses counts, where each of the nearest articles that do counts 1."""
_LONGER = 0.05
"""What each word more makes a stretch better than its words alone."""


@dataclass(frozen=True, slots=True)
class LabelForm:
    """The shape of a list."""

    said: int = 5
    """Words of a query."""
    stretch: int = 3
    """Words that are taken over in a row at the most."""
    lone: float = 0.95
    """Worth of a word by itself, where a stretch of two has 1: the lower, the more readable."""
    cohesion: float = 0.1
    """Mean cosine up to which two groups of an interest's signals are one."""
    neighbours: int = 15
    """Nearest earlier articles that are looked at for the words that news uses."""
    interests: int = 4
    year: float = 0.0
    """What the square root of the articles of the past 400 days that use a word counts, where each
    of the nearest ones counts 1."""
    newest_first: bool = False
    """Whether what was said last comes first, in a list and in a query, instead of the strongest
    interest and what was said first."""


def label(
    world: World, user: SimulatedUser, shown: Sequence[Signal], vectors: Vectors, form: LabelForm
) -> list[str]:
    """The queries to write for a user whose prompt shows `shown`; `vectors` (shown, 384): its.

    Empty where no interest is known well enough: by two signals that are not both purchases, by a
    news click, or, for a cold user, by one of any kind.
    """
    groups = _groups(user, shown, vectors, form.cohesion)
    cold = len(shown) <= _FEW
    strength = [sum(_freshness(user, shown[i]) for i in places) for places in groups]
    known = [
        k for k, places in enumerate(groups) if cold or _tells([shown[i].domain for i in places])
    ]
    known.sort(key=lambda k: (len(groups[k]) == 1, -strength[k]))
    known = known[: form.interests]
    if form.newest_first:
        known.sort(key=lambda k: -groups[k][-1])
    first, last = (
        int(np.searchsorted(world.times, moment, side="right"))
        for moment in (user.now_ms - _PAST_DAYS * _DAY_MS, user.now_ms)
    )
    used: set[str] = set()
    lines: list[str] = []
    for k in known:
        middle = vectors[groups[k]].mean(axis=0)
        near = first + np.argsort(-(world.vectors[first:last] @ middle))[: form.neighbours]
        articles = [world.articles[i] for i in near]
        written = Counter(key for one in articles for key in stems(f"{one.title}. {one.abstract}"))

        def in_news(key: str, written: Counter[str] = written) -> float:
            return written[key] + form.year * math.sqrt(world.usage.within(key, first, last))

        line = _said([shown[i] for i in groups[k]], in_news, world, form, used)
        if len(line) >= 2:
            lines.append(" ".join(line))
            used.update(stem_all(line))
    return lines


def _tells(domains: Sequence[Domain]) -> bool:
    return "news" in domains or (len(domains) > 1 and set(domains) != {"purchase"})


def _freshness(user: SimulatedUser, signal: Signal) -> float:
    return float(0.5 ** ((user.now_ms - signal.at_ms) / _DAY_MS / _HALF_LIFE_DAYS))


def _groups(
    user: SimulatedUser, shown: Sequence[Signal], vectors: Vectors, cohesion: float
) -> list[list[int]]:
    """Places of the signals of each interest, parted into what belongs together."""
    source_of = {s.id: k for s, k in zip(user.signals, user.sources, strict=True)}
    groups: dict[int, list[int]] = defaultdict(list)
    for place, signal in enumerate(shown):
        if (source := source_of[signal.id]) is not None:
            groups[source].append(place)
    return [part for places in groups.values() for part in _parted(places, vectors, cohesion)]


def _parted(places: Sequence[int], vectors: Vectors, cohesion: float) -> list[list[int]]:
    """Average-link clustering (Sokal and Michener, 1958) down to a mean cosine of `cohesion`."""
    parts = [[place] for place in places]
    while len(parts) > 1:
        nearness, a, b = max(
            (float((vectors[parts[a]] @ vectors[parts[b]].T).mean()), a, b)
            for a in range(len(parts))
            for b in range(a + 1, len(parts))
        )
        if nearness < cohesion:
            break
        parts[a] = sorted(parts[a] + parts.pop(b))
    return parts


def _said(
    signals: Sequence[Signal],
    in_news: Callable[[str], float],
    world: World,
    form: LabelForm,
    used: set[str],
) -> list[str]:
    """The best stretches of an interest's signals, up to `form.said` words, in the order said, or
    the newest signal's first.

    A word's worth is its support among the signals, its rarity, and how much news uses it
    (`in_news`): a word that no news ever used finds none.
    """
    support: dict[str, float] = defaultdict(float)
    for signal in signals:
        weight = _BOUGHT if signal.domain == "purchase" else 1.0
        for key in set(stem_all(telling_words(signal.text, signal.domain))):
            support[key] += weight

    def worth(keys: Sequence[str]) -> float:
        values = [
            math.sqrt(support[key] * (_UNUSED + in_news(key))) * world.rarity(key) for key in keys
        ]
        length = form.lone if len(values) == 1 else 1 + _LONGER * (len(values) - 2)
        return sum(values) / len(values) * length

    found = [
        (-worth(keys := stem_all(stretch)), number, start, stretch, keys)
        for number, signal in enumerate(reversed(signals) if form.newest_first else signals)
        for start, stretch in _stretches(signal, form.stretch, world.materials.form_words)
    ]
    found.sort(key=lambda one: one[:3])
    chosen: list[tuple[int, int, list[str]]] = []
    taken = set(used)
    room = form.said
    for _, number, start, stretch, keys in found:
        if len(keys) <= room and taken.isdisjoint(keys) and len(set(keys)) == len(keys):
            chosen.append((number, start, stretch))
            taken.update(keys)
            room -= len(keys)
    chosen.sort(key=lambda one: one[:2])
    return [word for _, _, stretch in chosen for word in stretch]


def _stretches(
    signal: Signal, longest: int, forms: frozenset[str]
) -> Iterator[tuple[int, list[str]]]:
    """Every stretch of telling words, with where it begins: news says no forms, all others may."""
    telling = set(telling_words(signal.text, signal.domain))
    start = 0
    for run in stretches(signal.text):
        good = [
            word in telling and (signal.domain == "news" or word.lower() not in forms)
            for word in run
        ]
        for first in range(len(run)):
            for size in range(1, min(longest, len(run) - first) + 1):
                if not good[first + size - 1]:
                    break
                yield start + first, run[first : first + size]
        start += len(run)
