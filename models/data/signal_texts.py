"""What a simulated user searches, visits, buys, watches and clicks, as text.

A signal of an interest says something about one of its earlier articles, or is a real web search
or goods near to it; noise is everyday errands, stray searches, and the headline that all click.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.data.phrases import key_phrases
from models.data.world import World
from service.generation.text import stems
from service.records import Article, Domain

DAYS = 30
"""Days of signals before a user's now."""
_DAY_MS = 86_400_000
_RECENCY_DAYS = 120.0
_NEAR_SEARCH, _NEAR_GOODS = 0.35, 0.18
_TRIES = 12


@dataclass(frozen=True, slots=True)
class Mix:
    """How hard the signals are. `borrowed`: searches taken from real web searches near the story,
    the others are words out of it. `shared`: stems that a search, visit or video may share with any
    one of the articles clicked later; a news click is a headline and shares what it shares. Mixes
    of another `stream` have other persons.
    """

    name: str
    noise: float = 0.35
    borrowed: float = 0.75
    shared: int = 1
    cold: float = 0.1
    stream: int = 0


MIXES: dict[str, Mix] = {
    "hard": Mix("hard"),
    "easy": Mix("easy", noise=0.2, borrowed=0.25, shared=99, stream=1),
}
MixName = Literal["hard", "easy"]


def signal_text(
    world: World,
    mix: Mix,
    source: int | None,
    domain: Domain,
    at_ms: int,
    later: list[frozenset[str]],
    rng: np.random.Generator,
) -> tuple[str, str | None] | None:
    """Text and item id of a signal; None when nothing that may be said was found."""
    if source is None:
        return _noise(world, domain, at_ms, rng)
    for _ in range(_TRIES):
        made = _interested(world, mix, source, domain, at_ms, rng)
        if made is None:
            return None
        if domain == "news":
            return made
        said = stems(made[0])
        if all(len(said & words) <= mix.shared for words in later):
            return made
    return None


def _interested(
    world: World, mix: Mix, source: int, domain: Domain, at_ms: int, rng: np.random.Generator
) -> tuple[str, str | None] | None:
    materials = world.materials
    if domain == "purchase":
        near = world.goods_vectors @ world.centres[source]
        best = np.argsort(-near)[:6]
        best = best[near[best] >= _NEAR_GOODS]
        return (materials.goods[int(rng.choice(best))], None) if len(best) else None
    if (place := _past(world, source, at_ms, rng)) is None:
        return None
    article = world.articles[place]
    if domain == "news":
        return article.title, article.id
    if domain == "search" and len(world.searches) and rng.random() < mix.borrowed:
        near = world.search_vectors @ world.vectors[place]
        best = np.argsort(-near)[:5]
        best = best[near[best] >= _NEAR_SEARCH]
        if len(best):
            return world.searches[int(rng.choice(best))], None
    forms = {"search": materials.searches, "browse": materials.pages, "video": materials.videos}
    phrase = _phrase(world, article, rng)
    form = str(rng.choice(forms[domain]))
    return form.replace("{p}", phrase).replace("{s}", phrase.lower()), None


def _phrase(world: World, article: Article, rng: np.random.Generator) -> str:
    """One of the telling phrases of an article, out of its headline or its abstract."""
    said = article.abstract if article.abstract and rng.random() < 0.4 else article.title
    phrases = key_phrases(said, world.rarity, longest=3) or key_phrases(article.title, world.rarity)
    return phrases[min(int(rng.geometric(0.5)) - 1, len(phrases) - 1)] if phrases else article.title


def _past(world: World, source: int, at_ms: int, rng: np.random.Generator) -> int | None:
    """An earlier article of the interest, the newer and the more appealing the likelier; if any."""
    own = np.flatnonzero((world.interest == source) & (world.times <= at_ms))
    ages = (at_ms - world.times[own]) / _DAY_MS
    weights = np.exp(-ages / _RECENCY_DAYS) * np.sqrt(world.appeal[own])
    return int(rng.choice(own, p=weights / weights.sum())) if weights.sum() > 0 else None


def _noise(
    world: World, domain: Domain, at_ms: int, rng: np.random.Generator
) -> tuple[str, str | None] | None:
    """Everyday errands, stray searches, goods for somebody else, the headline all click."""
    if domain == "news":
        recent = np.flatnonzero((world.times <= at_ms) & (world.times > at_ms - DAYS * _DAY_MS))
        if not len(recent):
            return None
        appeal = world.appeal[recent]
        article = world.articles[int(rng.choice(recent, p=appeal / appeal.sum()))]
        return article.title, article.id
    everyday = world.materials.everyday[domain]
    if rng.random() < 0.5 or domain in ("browse", "video"):
        return str(rng.choice(everyday)), None
    if domain == "search" and len(world.searches):
        return world.searches[int(rng.integers(len(world.searches)))], None
    return str(rng.choice(world.materials.goods)), None
