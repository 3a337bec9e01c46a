"""The simulated world over any set of articles: interests narrower than categories, and goods.

Interests are clusters of articles by a sentence encoder, spherical k-means (Dhillon and Modha,
Machine Learning 42, 2001). They and the article set are split so that nothing leaks: an interest
belongs to training, validation or test users only, and so does a stretch of time.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.simulation.encoder import Encoder
from models.simulation.materials import Materials, Wording, load_materials
from models.simulation.phrases import Rarity, written_small
from service.errors import ConfigurationError
from service.records import Article, Vectors

Split = Literal["train", "valid", "test", "tune"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")
"""Those that share out interests and time. Users of "tune" have the interests and the wording of
"valid" and live at the end of training's time, where these interests have a past and a future."""

PER_INTEREST = 24
"""Articles of an interest on average: a story with its sequels, far below a category."""
LEAST_ARTICLES = 1_000
_ROUNDS = 25
_SHARES = (0.70, 0.10, 0.20)
"""Interests of training, validation and test."""
_ENDS = (0.745, 0.83, 1.0)
"""Share of the articles, oldest first, after which each split's clicks end."""
_TUNE = 0.25
"""Share of the articles, the newest of training's time, that is the time of "tune"."""
_EARLY_CLICKS = 3.0
_SEARCHES_NEAR, _GOODS_NEAR = 5, 6
_NEAR_SEARCH, _NEAR_GOODS = 0.25, 0.05
"""What counts as near: of the way from unrelated to the same, so much beyond a text's mean. Nine
articles in ten have such a search, and nearly every interest such goods."""
_ANEW = 1
"""Keeps the draws of a world of training apart from those of the world it is made of."""


@dataclass(frozen=True)
class World:
    """Articles (oldest first) and everything that is near to them.

    `vectors` is (articles, width), `interest[i]` the interest of article `i` (-1: none),
    `appeal[i]` how readily anybody clicks it. `centres` is (interests, width). The articles'
    `popularity` is what would be seen of that appeal soon after they appear: counted early clicks,
    not the appeal itself.
    """

    articles: tuple[Article, ...]
    vectors: Vectors
    times: NDArray[np.int64]
    interest: NDArray[np.intp]
    centres: Vectors
    appeal: NDArray[np.float64]
    searches: tuple[str, ...]
    search_vectors: Vectors
    goods_vectors: Vectors
    materials: Materials
    rarity: Rarity
    small: frozenset[str]
    """Words that abstracts write in small letters, for headlines in sentence case."""
    encoder: str = ""
    """`name@version` of what made the vectors."""
    unrelated: float = 0.0
    """The encoder's cosine of texts that have nothing to do with each other."""
    only: Split | None = None
    """The one split whose world this is: see `world_of_training`. None: all splits share it."""

    def interests_of(self, split: Split) -> NDArray[np.intp]:
        """The interests that users of this split may have: by a checksum of their number.

        Raises `ValueError` where this is another split's world.
        """
        if self.only is not None:
            if split != self.only:
                raise ValueError(f"a world of {self.only} users has no {split} users")
            return np.arange(len(self.centres))
        marks = np.array([zlib.crc32(b"interest %d" % k) % 1000 for k in range(len(self.centres))])
        low = 0.0
        wanted = "valid" if split == "tune" else split
        for name, share in zip(SPLITS, _SHARES, strict=True):
            if name == wanted:
                return np.flatnonzero((marks >= low * 1000) & (marks < (low + share) * 1000))
            low += share
        raise AssertionError(split)

    def searches_near(self, article: int) -> NDArray[np.intp]:
        """The searches nearest to an article, the nearest first; five at the most."""
        special = self.search_vectors @ (self.vectors[article] - self._middle)
        return self._near(special, _SEARCHES_NEAR, _NEAR_SEARCH)

    def goods_near(self, interest: int) -> NDArray[np.intp]:
        """The goods nearest to an interest, the nearest first; six at the most."""
        special = self.goods_vectors @ (self.centres[interest] - self._middle_of_interests)
        return self._near(special, _GOODS_NEAR, _NEAR_GOODS)

    def _near(self, special: NDArray[np.float32], most: int, least: float) -> NDArray[np.intp]:
        """The texts whose cosine here is highest beyond their mean cosine to all articles.

        Some texts are nearer than others to everything ("who is the president right now"), and they
        would be said of every interest. Encoders differ in how narrow a range their cosines have,
        so what is asked for is a share of the way from unrelated to the same.
        """
        best = np.argsort(-special)[:most]
        return best[special[best] >= least * (1 - self.unrelated)]

    @cached_property
    def _middle(self) -> Vectors:
        mean: Vectors = self.vectors.mean(axis=0)
        return mean

    @cached_property
    def _middle_of_interests(self) -> Vectors:
        mean: Vectors = self.centres.mean(axis=0)
        return mean

    def wording_of(self, split: Split) -> Wording:
        """How its users phrase what they do: training users say other words than all others."""
        return self.materials.taught if split == "train" else self.materials.held_out

    def span(self, split: Split) -> tuple[int, int]:
        """The articles that its users click: from, to (exclusive), as positions in `articles`."""
        n = len(self.articles)
        ends = [0, *(round(n * end) for end in _ENDS)]
        if split == "tune":
            return ends[1] - round(n * _TUNE), ends[1]
        at = SPLITS.index(split)
        return ends[at], ends[at + 1]


def build_world(
    articles: Sequence[Article], searches: Sequence[str], encoder: Encoder, seed: int = 1
) -> World:
    """Make a world. Raises `ConfigurationError` when the articles are too few or lack dates."""
    dated = sorted(
        (article for article in articles if article.published_ms),
        key=lambda article: (article.published_ms, article.id),
    )
    if len(dated) < LEAST_ARTICLES:
        raise ConfigurationError(
            f"{len(dated):,} articles with a date are too few to simulate readers from: give at "
            f"least {LEAST_ARTICLES:,}, each with `published`"
        )
    rng = np.random.default_rng(seed)
    texts = [f"{article.title}. {article.abstract}" for article in dated]
    vectors = encoder.encode(texts, "article")
    centres, interest = _cluster(vectors, max(2, len(dated) // PER_INTEREST), rng)
    appeal = rng.lognormal(0.0, 1.0, len(dated))
    early = rng.poisson(_EARLY_CLICKS * appeal)
    materials = load_materials()
    asked = tuple(dict.fromkeys(map(tidy, searches)))
    return World(
        articles=tuple(
            replace(article, popularity=float(count))
            for article, count in zip(dated, early, strict=True)
        ),
        vectors=vectors,
        times=np.array([article.published_ms for article in dated], np.int64),
        interest=interest,
        centres=centres,
        appeal=appeal,
        searches=asked,
        search_vectors=encoder.encode(asked, "query")
        if asked
        else np.zeros((0, vectors.shape[1]), np.float32),
        goods_vectors=encoder.encode(materials.goods, "query"),
        materials=materials,
        rarity=Rarity.of(texts),
        small=written_small(article.abstract for article in dated),
        encoder=encoder.key,
        unrelated=encoder.unrelated,
    )


def world_of_training(world: World, seed: int) -> World:
    """The articles and searches of training's interests, as a world of their own.

    In the shared world training users meet the other splits' topics too, as noise and never as
    anything else, and a student that sees enough of them learns these topics by heart instead of
    looking at what else the user did (docs/decisions/2026-11-26-worlds-of-training.md). Here
    nothing of them is met: they are of no interest (-1), and no noise. Interests are clustered and
    appeal is drawn anew by `seed`, so that over several such worlds no article is an interest's
    more often than another.
    """
    rng = np.random.default_rng([seed, _ANEW])
    own = np.isin(world.interest, world.interests_of("train"))
    interest = np.full(len(world.articles), -1, np.intp)
    count = max(2, int(own.sum()) // PER_INTEREST)
    centres, interest[own] = _cluster(world.vectors[own], count, rng)
    nearest = np.argmax(world.search_vectors @ world.centres.T, axis=1)
    asked = np.isin(nearest, world.interests_of("train"))
    return replace(
        world,
        interest=interest,
        centres=centres,
        appeal=rng.lognormal(0.0, 1.0, len(world.articles)),
        searches=tuple(search for search, kept in zip(world.searches, asked, strict=True) if kept),
        search_vectors=world.search_vectors[asked],
        only="train",
    )


def tidy(query: str) -> str:
    """A search as people type it: Natural Questions parts "men 's" and "ca n't" into tokens."""
    for apart, joined in (
        (" n 't", "n't"),
        (" 's", "'s"),
        (" n't", "n't"),
        (" .", "."),
        (" ,", ","),
        (" 'm", "'m"),
    ):
        query = query.replace(apart, joined)
    return " ".join(query.split())


def _cluster(
    vectors: Vectors, count: int, rng: np.random.Generator
) -> tuple[Vectors, NDArray[np.intp]]:
    """Spherical k-means: (centres (count, width), the centre of each row)."""
    centres = vectors[rng.choice(len(vectors), count, replace=False)].copy()
    nearest = np.zeros(len(vectors), np.intp)
    for _ in range(_ROUNDS):
        nearest = np.argmax(vectors @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, vectors)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        moved = np.where(lengths > 0, sums / np.maximum(lengths, 1e-9), centres).astype(np.float32)
        if np.allclose(moved, centres, atol=1e-5):
            break
        centres = moved
    return centres, nearest
