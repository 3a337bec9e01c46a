"""What a student is taught to write: a query for each interest, mostly in the user's own words.

A label uses what the user has done and articles published before `now`, never the future: phrases
that only the future explains cannot be learned. The simulator knows which signals belong together
and which are noise; the student has to learn to tell. A query holds, strongest interest first:

1. the words that the interest's signals say, the most supported and the rarest, and those that news
   uses, in the order in which they were said;
2. a few words that most of its nearest earlier articles share and the signals do not say.

A stem is used once in a list. `docs/training-log.md` has what other forms of list scored.
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

    said: int = 6
    """Words of an interest's own signals."""
    news: int = 2
    """Words that the news adds at the most."""
    shared: int = 5
    """Of the nearest articles, as many must hold such a word: fewer cannot be foreseen."""
    rarity: float = 2.5
    """What such a word must exceed (`phrases.Rarity`): names that are in all news tell nothing."""
    neighbours: int = 15
    """Nearest earlier articles that are looked at."""
    interests: int = 4


def label(
    world: World, user: SimulatedUser, shown: Sequence[Signal], vectors: Vectors, form: LabelForm
) -> list[str]:
    """The queries to write for a user whose prompt shows `shown`; `vectors` (shown, 384): its.

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
        news = [
            word
            for phrase in rising_words(texts, world.rarity, without=heard | used, least=form.shared)
            for word in phrase.split()
            if world.rarity(stem_all([word])[0]) > form.rarity
        ]
        line = [*said, *news[: form.news]]
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
