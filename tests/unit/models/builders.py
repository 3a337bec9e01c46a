"""A small set to evaluate on, made by hand: three stories, a few readers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.evaluation.sets import EvaluationSet, EvaluationUser
from models.progress import Progress, untold
from models.simulation.encoder import Encoder
from models.simulation.world import World, build_world
from service.records import Article, Domain, Query, Signal, TextRole, Vectors
from service.words.text import stem_all, words

DAY_MS = 86_400_000
NOW_MS = 1_000 * DAY_MS
STORIES = {
    "ferry": "Battery ferry crosses the fjord",
    "chess": "Chess champion loses the final",
    "bread": "Bakers revive sourdough bread",
}


def article(id_: str, title: str, days: float = 0, popularity: float = 0.0) -> Article:
    """An article published so many days after `NOW_MS`."""
    return Article(
        id_, title, category="any", published_ms=int(NOW_MS + days * DAY_MS), popularity=popularity
    )


def stories() -> tuple[Article, ...]:
    """Each story four times, two before `NOW_MS` and two after, each with a word of its own."""
    own = {-2: "harbour", -1: "winter", 1: "summer", 2: "island"}
    return tuple(
        article(f"{name}{day:+d}", f"{title} {name}{word}", day, popularity=10 + day)
        for name, title in STORIES.items()
        for day, word in own.items()
    )


def signal(
    text: str, number: int = 0, domain: Domain = "search", item: str | None = None
) -> Signal:
    """A signal so many minutes after `NOW_MS` less a day."""
    return Signal(NOW_MS - DAY_MS + number * 60_000, domain, text, f"s{number}", item)


def reader(name: str, story: str, *signals: Signal) -> EvaluationUser:
    """Somebody who clicks a story's later articles."""
    return EvaluationUser(
        name,
        signals,
        frozenset({f"{story}+1", f"{story}+2"}),
        frozenset(signal.item for signal in signals if signal.item),
        NOW_MS,
    )


def small_set(*users: EvaluationUser) -> EvaluationSet:
    """The stories, and these readers of them."""
    articles = stories()
    newest = sorted(articles, key=lambda article: -article.published_ms)
    return EvaluationSet(
        articles,
        users,
        NOW_MS + 2 * DAY_MS,
        tuple(article.id for article in newest),
        simulated=True,
    )


def queries(*texts: str) -> tuple[Query, ...]:
    """A list, as a student writes it."""
    return tuple(map(Query, texts))


class HashedWords(Encoder):
    """Bags of stems, hashed into 64 columns: near where words are shared, and without a model."""

    key = "hashed-words@1"
    unrelated = 0.0

    def __init__(self) -> None:
        """Nothing is kept."""

    def encode(self, texts: Sequence[str], role: TextRole, progress: Progress = untold) -> Vectors:
        """One row of length 1 a text."""
        vectors = np.full((len(texts), 64), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for stem in stem_all(words(text)):
                vectors[row, sum(map(ord, stem)) % 64] += 1
        progress(len(texts))
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def small_world(stories: int = 50, each: int = 24) -> World:
    """So many stories, told again and again in turn, hour by hour."""
    rng = np.random.default_rng(7)
    letters = "bcdfghklmnprstvw"
    names = [
        [
            "".join(rng.choice(list(letters)) + rng.choice(list("aeiou")) for _ in range(3))
            for _ in range(4)
        ]
        for _ in range(stories)
    ]
    articles = [
        article(
            f"a{number}", f"{' '.join(rng.permutation(names[number % stories]))} again", number / 24
        )
        for number in range(stories * each)
    ]
    return build_world(articles, ["who won the chess final"], HashedWords())
