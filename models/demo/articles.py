"""The demo corpus: invented news of the ninety days up to `newest`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

from models.demo.grammar import KINDS, write
from models.demo.material import Story, load_stories
from service.records import Article

DAYS = 90
"""How far back the corpus reaches, in days."""
_BESIDE = (6, 7)
"""How many articles a story gets beside the news of its events."""
_MINUTES = 24 * 60


def day_of(newest: datetime | None) -> datetime:
    """`newest`, or midnight (UTC) of today: a demo looks fresh and stays the same for a day."""
    moment = newest or datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def demo_articles(seed: int = 7, newest: datetime | None = None) -> list[Article]:
    """The corpus, oldest first: the same for the same `seed` and `newest`.

    Each story line has its own random source, so that adding one leaves the others as they are.
    Popularity is in clicks, heavy-tailed: a few articles have most of them.
    """
    last = day_of(newest)
    articles = [article for story in load_stories() for article in _articles_of(story, seed, last)]
    return sorted(articles, key=lambda article: (article.published_ms, article.id))


def _articles_of(story: Story, seed: int, last: datetime) -> Iterator[Article]:
    rng = Random(f"{seed}/{story.id}")
    heat = rng.paretovariate(1.6)
    for number, (kind, stage, at) in enumerate(_plan(len(story.events), rng, last), start=1):
        piece = write(story, kind, stage, rng)
        pull = 1.5 if kind == "news" else 1.0
        yield Article(
            id=f"{story.id}-{number:02d}",
            title=piece.title,
            abstract=piece.abstract,
            body=piece.body,
            category=story.category,
            entities=tuple(e for e in story.entities if e in piece.text),
            published_ms=int(at.timestamp() * 1000),
            popularity=round(3 * heat * pull * rng.paretovariate(1.3), 1),
        )


def _plan(events: int, rng: Random, last: datetime) -> list[tuple[str, int, datetime]]:
    """Kinds, event numbers and times, oldest first. The news of an event comes before the rest."""
    length = rng.uniform(18, 45) * _MINUTES
    end = rng.uniform(0, DAYS * _MINUTES - length)
    gaps = [rng.uniform(0.4, 1.6) for _ in range(events)]
    ages = [end + length * sum(gaps[i + 1 :]) / sum(gaps) for i in range(events)]
    plan = [("news", stage, age) for stage, age in enumerate(ages)]
    for kind in rng.sample(KINDS, rng.randint(*_BESIDE)):
        stage = rng.randrange(events)
        until = ages[stage + 1] if stage + 1 < events else max(0.0, ages[stage] - 3 * _MINUTES)
        plan.append((kind, stage, rng.uniform(until, ages[stage])))
    plan.sort(key=lambda item: (-item[2], item[1]))
    return [(kind, stage, last - timedelta(minutes=int(age))) for kind, stage, age in plan]
