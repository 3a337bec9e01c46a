"""Readers who click by the stories they follow, whoever chose what they are shown. Pure.

They are the demo's: each follows two to four stories of the newspaper, and has a past of signals
about these and about nothing. What they are shown they look at from the top, the less readily the
further down (a position-based model: Craswell et al., WSDM 2008), and click what is of their
stories, now and then what appeals to everybody, and seldom anything.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from models.demo.users import demo_users, followed_stories, story_of
from service.records import Signal


@dataclass(frozen=True, slots=True)
class Habits:
    """How all of them look and click; chances are from 0 to 1."""

    shown: int = 10
    """Articles that a visit shows, from the first place on."""
    fades: float = 0.7
    """The place k is looked at with a chance of k to the power of minus this."""
    likes: float = 0.35
    """Chance of a click on an article of average appeal that is looked at and of one's stories."""
    shrugs: float = 0.015
    """That on any other."""
    appeal: float = 0.5
    """Spread of the articles' appeal, of its logarithm; nobody sees it but by clicks."""
    liked_s: float = 60.0
    """Median seconds that a liked article is read."""
    other_s: float = 9.0
    """That of any other."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader, the stories they follow, and what they did so far, oldest first."""

    id: str
    follows: tuple[str, ...]
    signals: tuple[Signal, ...]


@dataclass(frozen=True, slots=True)
class Click:
    """An article that was opened, its place from 1, and for how long it was read."""

    article: str
    place: int
    dwell_ms: int


def readers(count: int, seed: int = 7, newest: datetime | None = None) -> list[Reader]:
    """So many readers of the demo's newspaper; the same for the same arguments."""
    follows = followed_stories(seed, count)
    return [
        Reader(f"reader-{number:05d}", tuple(sorted(follows[user.user_id])), user.signals)
        for number, user in enumerate(demo_users(seed, newest, count)[-count:], start=1)
    ]


def appeal_of(article: str, habits: Habits, seed: int) -> float:
    """How readily anybody opens it; 1 on average in its logarithm."""
    rng = np.random.default_rng([seed, zlib.crc32(article.encode())])
    return float(rng.lognormal(0.0, habits.appeal))


def opened(
    reader: Reader, shown: Sequence[str], habits: Habits, seed: int, rng: np.random.Generator
) -> list[Click]:
    """What the reader opens of what is shown, in this order. It knows nothing of who chose it."""
    clicks = []
    for place, article in enumerate(shown[: habits.shown], start=1):
        liked = story_of(article) in reader.follows
        chance = (habits.likes if liked else habits.shrugs) * appeal_of(article, habits, seed)
        # Drawn for each place, so that another order of places uses the same luck.
        looks, opens = rng.random(), rng.random()
        read_s = rng.lognormal(np.log(habits.liked_s if liked else habits.other_s), 0.8)
        if looks < place**-habits.fades and opens < min(chance, 0.95):
            clicks.append(Click(article, place, int(read_s * 1000)))
    return clicks
