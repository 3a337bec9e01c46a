"""What a simulated user searches, visits, buys, watches and clicks, as text.

A signal of an interest says something about one of its earlier articles, or is a real web search
or goods near to it; noise is everyday errands, stray searches, and the headline that all click.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.simulation.materials import Wording
from models.simulation.phrases import key_phrases, sentence_case
from models.simulation.world import World
from service.records import Article, Domain
from service.words.text import stems

DAYS = 30
"""Days of signals before a user's now."""
_DAY_MS = 86_400_000
_RECENCY_DAYS = 120.0
_TRIES = 12
_ERRANDS = 0.6
"""Of noise that is searched or bought, the share that is everyday errands."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How hard the signals are. `borrowed`: searches taken from real web searches near the story,
    the others are words out of it. `shared`: stems that a search, visit or video may share with any
    one of the articles clicked later; a news click is a headline and shares what it shares. Mixes
    of another `stream` have other persons. `domains`: how often a signal is a search, page,
    purchase, video and news click, on average.
    """

    name: str
    noise: float = 0.35
    borrowed: float = 0.75
    shared: int = 1
    cold: float = 0.1
    stream: int = 0
    domains: tuple[float, float, float, float, float] = (0.34, 0.18, 0.10, 0.14, 0.24)


MIXES: dict[str, Mix] = {
    "hard": Mix("hard"),
    "easy": Mix("easy", noise=0.2, borrowed=0.25, shared=99, stream=1),
    "clicks": Mix("clicks", stream=2, domains=(0, 0, 0, 0, 1)),
}
MixName = Literal["hard", "easy", "clicks"]


@dataclass(frozen=True, slots=True)
class Teller:
    """Says what one user does. `later`: the stems of each article that is clicked later; `plain`:
    whether the headlines that the user sees are in sentence case.
    """

    world: World
    mix: Mix
    wording: Wording
    plain: bool
    later: Sequence[frozenset[str]]
    rng: np.random.Generator

    def tell(self, source: int | None, domain: Domain, at_ms: int) -> tuple[str, str | None] | None:
        """Text and item id of a signal of an interest, or of none; None: nothing may be said."""
        if source is None:
            return self._noise(domain, at_ms)
        for _ in range(_TRIES):
            made = self._interested(source, domain, at_ms)
            if made is None:
                return None
            if domain == "news":
                return made
            said = stems(made[0])
            if all(len(said & words) <= self.mix.shared for words in self.later):
                return made
        return None

    def _interested(self, source: int, domain: Domain, at_ms: int) -> tuple[str, str | None] | None:
        world, rng = self.world, self.rng
        if domain == "purchase":
            goods = world.goods_near(source)
            return (world.materials.goods[int(rng.choice(goods))], None) if len(goods) else None
        if (place := self._past(source, at_ms)) is None:
            return None
        article = world.articles[place]
        if domain == "news":
            return self._headline(article)
        if domain == "search" and len(world.searches) and rng.random() < self.mix.borrowed:
            near = world.searches_near(place)
            if len(near):
                return world.searches[int(rng.choice(near))], None
        return self.wording.about(domain, self._phrase(article), rng), None

    def _headline(self, article: Article) -> tuple[str, str]:
        title = sentence_case(article.title, self.world.small) if self.plain else article.title
        return title, article.id

    def _phrase(self, article: Article) -> str:
        """One of the telling phrases of an article, out of its headline or its abstract."""
        abstract = article.abstract and self.rng.random() < 0.4
        title = self._headline(article)[0]
        said = article.abstract if abstract else title
        rarity = self.world.rarity
        phrases = key_phrases(said, rarity, longest=3) or key_phrases(title, rarity)
        first = min(int(self.rng.geometric(0.5)), len(phrases)) - 1
        return phrases[first] if phrases else title

    def _past(self, source: int, at_ms: int) -> int | None:
        """An earlier article of the interest, the newer and more appealing the likelier; if any."""
        world = self.world
        own = np.flatnonzero((world.interest == source) & (world.times <= at_ms))
        ages = (at_ms - world.times[own]) / _DAY_MS
        weights = np.exp(-ages / _RECENCY_DAYS) * np.sqrt(world.appeal[own])
        if weights.sum() <= 0:
            return None
        return int(self.rng.choice(own, p=weights / weights.sum()))

    def _noise(self, domain: Domain, at_ms: int) -> tuple[str, str | None] | None:
        """Everyday errands, stray searches, goods for somebody else, the headline all click."""
        world, rng = self.world, self.rng
        if domain == "news":
            fresh = (world.times <= at_ms) & (world.times > at_ms - DAYS * _DAY_MS)
            recent = np.flatnonzero(fresh & (world.interest >= 0))
            if not len(recent):
                return None
            appeal = world.appeal[recent]
            chosen = int(rng.choice(recent, p=appeal / appeal.sum()))
            return self._headline(world.articles[chosen])
        if rng.random() < _ERRANDS or domain in ("browse", "video"):
            return self.wording.errand(domain, rng), None
        if domain == "search" and len(world.searches):
            return world.searches[int(rng.integers(len(world.searches)))], None
        return str(rng.choice(world.materials.goods)), None
