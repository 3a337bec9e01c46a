"""What a student is taught to write: each interest's own words, and what the news calls it now.

A label uses what the user has done and articles published before `now`, never the future: phrases
that only the future explains cannot be learned. The simulator knows which signals belong together
and which are noise; the student has to learn to tell. Of each interest, strongest first:

1. the words that its signals say, the most supported and the rarest first, cleaned and merged;
2. words that the interest's nearest earlier articles share and the signals do not say.

A stem is used once in a list.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.data.encoder import Vectors
from models.data.phrases import rising_words, stretches
from models.data.simulator import SimulatedUser
from models.data.world import World
from service.generation.noise import telling_words
from service.generation.text import stem_all, stems, word_set
from service.records import Signal

_DAY_MS = 86_400_000
_HALF_LIFE_DAYS = 12.0
_PAST_DAYS = 400
_SHARED_BY = 3
"""Of the nearest articles, as many must hold a word that is taught: fewer cannot be foreseen."""
_FORMS = word_set(
    """
    wikipedia forum timeline photos community discussion fact check explained full interview live
    documentary best moments reaction minutes happened latest news everything played sang sings
    wrote song movie meaning mean called located many much
    """
)
"""What a page, a video or a search is, and not what it is about."""
_FEW = 3
"""Signals up to which a user is cold: then every interest counts, however little is known of it."""


@dataclass(frozen=True, slots=True)
class LabelForm:
    """The shape of a list."""

    said: int = 4
    """Words of an interest's own signals in its first line."""
    news: int = 3
    """Words that the news adds to the first line."""
    more: int = 4
    """Words that the news adds in a second line; 0: none."""
    neighbours: int = 15
    interests: int = 4


def label(
    world: World, user: SimulatedUser, shown: Sequence[Signal], vectors: Vectors, form: LabelForm
) -> list[str]:
    """The lines to write for a user whose prompt shows `shown`; `vectors` (shown, 384) are theirs.

    Empty where no interest is known well enough: by two signals, by a news click, or, for a cold
    user, by one of any kind.
    """
    source_of = {s.id: k for s, k in zip(user.signals, user.sources, strict=True)}
    groups: dict[int, list[int]] = defaultdict(list)
    for place, signal in enumerate(shown):
        if (source := source_of[signal.id]) is not None:
            groups[source].append(place)
    cold = len(shown) <= _FEW
    strength: dict[int, float] = {}
    for source, places in groups.items():
        ages = [(user.now_ms - shown[i].at_ms) / _DAY_MS for i in places]
        strength[source] = sum(0.5 ** (age / _HALF_LIFE_DAYS) for age in ages)
    ranked = sorted(
        (s for s in groups if cold or len(groups[s]) > 1 or shown[groups[s][0]].domain == "news"),
        key=lambda s: (-(len(groups[s]) > 1), -strength[s]),
    )
    past = np.flatnonzero(
        (world.times <= user.now_ms) & (world.times > user.now_ms - _PAST_DAYS * _DAY_MS)
    )
    used: set[str] = set()
    lines: list[str] = []
    for source in ranked[: form.interests]:
        places = groups[source]
        heard = {k for i in places for k in stems(shown[i].text)}
        middle = vectors[places].mean(axis=0)
        near = past[np.argsort(-(world.vectors[past] @ middle))[: form.neighbours]]
        texts = [f"{world.articles[i].title}. {world.articles[i].abstract}" for i in near]
        written = Counter(key for text in texts for key in stems(text))
        said = _said([shown[i] for i in places], written, world, form.said, used)
        news = _words(rising_words(texts, world.rarity, without=heard | used, least=_SHARED_BY))
        first = [*said, *news[: form.news]]
        second = news[form.news : form.news + form.more]
        for line in (first, second):
            if len(line) >= 2:
                lines.append(" ".join(line))
                used.update(stem_all(line))
    return lines


def _said(
    signals: Sequence[Signal], written: Counter[str], world: World, most: int, used: set[str]
) -> list[str]:
    """The telling words of an interest's signals, in the order in which they are said.

    The best by support among the signals, by rarity, and by how many of the nearest earlier
    articles use them (`written`): a word that no news ever used finds none.
    """
    support: dict[str, float] = defaultdict(float)
    spelled: dict[str, str] = {}
    for signal in signals:
        telling = telling_words(signal.text, signal.domain)
        weight = 0.5 if signal.domain == "purchase" else 1.0
        inner = {w for run in stretches(signal.text) for w in run}
        for key, word in zip(stem_all(telling), telling, strict=True):
            if key in used or word not in inner or word.lower() in _FORMS:
                continue
            support[key] += weight
            spelled.setdefault(key, word)
    worth = {
        key: (support[key] * (0.3 + written[key])) ** 0.5 * world.rarity(key) for key in support
    }
    best = set(sorted(worth, key=lambda key: -worth[key])[:most])
    return [word for key, word in spelled.items() if key in best]


def _words(phrases: Sequence[str]) -> list[str]:
    return [word for phrase in phrases for word in phrase.split()]
