"""Evaluation sets out of the demo's invented readers, whose stories are known (`models.demo`)."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from models.demo.articles import day_of, demo_articles
from models.demo.users import demo_users, followed_stories, story_of
from models.evaluation.sets import EvaluationSet, EvaluationUser
from service.errors import InvalidInput


def demo_set(users: int, seed: int = 7, newest: datetime | None = None) -> EvaluationSet:
    """The first `users` drawn readers of the demo, over its newspaper.

    Relevant are the articles of the stories that a reader follows and has not clicked. Raises
    `InvalidInput` for fewer than one.
    """
    if users < 1:
        raise InvalidInput("must be 1 or more", field="--users")
    articles = demo_articles(seed, newest)
    of_story: dict[str, set[str]] = defaultdict(set)
    for article in articles:
        of_story[story_of(article.id)].add(article.id)
    follows = followed_stories(seed, users)
    now_ms = int(day_of(newest).timestamp() * 1000)
    found = []
    for reader in demo_users(seed, newest, users)[-users:]:
        clicked = frozenset(signal.item for signal in reader.signals if signal.item)
        liked = set[str]().union(*(of_story[story] for story in follows[reader.user_id]))
        found.append(
            EvaluationUser(
                id=reader.user_id,
                signals=reader.signals,
                relevant=frozenset(liked - clicked),
                exclude=clicked,
                now_ms=now_ms,
            )
        )
    return EvaluationSet(
        articles=tuple(articles),
        users=tuple(user for user in found if user.relevant),
        now_ms=now_ms,
        newest=tuple(article.id for article in reversed(articles)),
        simulated=True,
        about={
            "source": "the demo's invented readers",
            "users": users,
            "simulation_seed": seed,
            "articles": len(articles),
        },
    )
