"""A thousand lists as the fusion made them when it still added up objects, one by one.

`RECORDED` holds a digest of each hundred: of every candidate its id, its score to eight digits, the
queries that found it and at which rank, and the rule that placed it. They were made by the fusion
before it counted on arrays. A change that moves one of them moves what users see: make the digests
again (`python -m tests.unit.service.retrieval.test_recorded_fusion`) only where that is meant.
"""

from __future__ import annotations

import hashlib
import random
import sys

import pytest

from service.records import Candidate, Hit, Query, Run
from service.retrieval.fusion import FusionSettings, fuse

NOW = 1_800_000_000_000
HOUR = 3_600_000
RECORDED = [
    "49ce3a9d42356415",
    "1ab5202445afbc7b",
    "2656f962acbaf35c",
    "be63e6a818dce99e",
    "55964f255b8b6eaf",
    "562ebe0289d9ff9b",
    "f05c1703cdcd172e",
    "c1e0c2164705d4a9",
    "618bc6ea5975ae8d",
    "a2ad291f8a8f04ab",
]


def title(rng: random.Random, words: list[str]) -> str:
    return " ".join(rng.choices(words, k=rng.choice([1, 3, 5, 9])))


def article(rng: random.Random, number: int, words: list[str], popular: bool) -> Hit:
    return Hit(
        id=f"n{number}",
        title=title(rng, words),
        category=rng.choice(["", "a", "b", "c", "sport"]),
        published_ms=rng.choice([0, NOW - rng.randrange(10**9), NOW - rng.randrange(10) * HOUR]),
        popularity=rng.choice([0.0, float(rng.randrange(100)), rng.random() * 1000]) * popular,
        score=0.0,
    )


def hits(rng: random.Random, articles: list[Hit], lowest: float, highest: float) -> tuple[Hit, ...]:
    count = min(len(articles), rng.choice([0, 1, 7, 50]))
    digits = rng.choice([1, 6])  # so that some tie
    scores = sorted(round(rng.uniform(lowest, highest), digits) for _ in range(count))
    return tuple(
        Hit(one.id, one.title, one.category, one.published_ms, one.popularity, score)
        for one, score in zip(rng.sample(articles, count), reversed(scores), strict=True)
    )


def candidates_of(number: int) -> tuple[Candidate, ...]:
    """The list of a request made up from a number."""
    rng = random.Random(number)
    words = ["".join(rng.choices("abcdefgh", k=3)) for _ in range(rng.choice([6, 40, 500]))]
    popular, by_meaning = rng.random() > 0.2, rng.random() > 0.5
    count = rng.choice([5, 30, 100, 400, 2000])
    articles = [article(rng, i, words, popular) for i in range(count)]
    runs = [
        Run(
            Query(f"q{i}", rng.choice([1.0, 0.5, 0.67, 0.0])),
            hits(rng, articles, 0.1, 30),
            rng.random() > 0.1,
            hits(rng, articles, 0.05, 1) if by_meaning else (),
        )
        for i in range(rng.randrange(22))
    ]
    most_read = sorted(
        rng.sample(articles, min(count, rng.choice([0, 10, 200]))),
        key=lambda one: (-one.popularity, -one.published_ms, one.id),
    )
    settings = FusionSettings(
        diversity=rng.choice([0, 0.25, 1]),
        own_places=rng.choice([0, 10]),
        category_share=rng.choice([0.8, 0.3, 1]),
        popularity_weight=rng.choice([3.0, 0.0, 0.1]),
        near_duplicate=rng.choice([0.7, 0.5, 1.0]),
    )
    return fuse(
        runs,
        limit=rng.choice([1, 10, 100, 500]),
        now_ms=NOW,
        exclude={one.id for one in rng.sample(articles, rng.choice([0, 3]))},
        settings=settings,
        read=[title(rng, words) for _ in range(rng.choice([0, 3]))],
        popular=most_read,
    )


def digest(hundred: int) -> str:
    """Of the candidates of a hundred lists."""
    found = hashlib.sha256()
    for number in range(100 * hundred, 100 * (hundred + 1)):
        for one in candidates_of(number):
            placed = (one.matched, one.ranks, one.placed_by, str(one.origin))
            found.update(repr((number, one.article.id, f"{one.score:.8g}", placed)).encode())
    return found.hexdigest()[:16]


@pytest.mark.parametrize("hundred", range(len(RECORDED)))
def test_the_candidates_of_a_hundred_recorded_lists_are_the_same(hundred: int):
    assert digest(hundred) == RECORDED[hundred]


if __name__ == "__main__":
    sys.stdout.writelines(f"{digest(hundred)}\n" for hundred in range(10))
