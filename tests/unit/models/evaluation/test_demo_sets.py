from __future__ import annotations

from datetime import UTC, datetime

import pytest

from models.demo.users import followed_stories, story_of
from models.evaluation.demo_sets import demo_set
from service.errors import InvalidInput

NEWEST = datetime(2026, 3, 1, tzinfo=UTC)


def test_relevant_are_the_unread_articles_of_the_stories_that_a_reader_follows() -> None:
    made = demo_set(12, newest=NEWEST)
    follows = followed_stories(drawn=12)
    of_story = {story_of(article.id) for article in made.articles}
    assert len(made.users) == 12
    for user in made.users:
        assert user.relevant
        assert {story_of(article) for article in user.relevant} <= follows[user.id] <= of_story
        assert user.relevant.isdisjoint(user.exclude)
        assert all(signal.at_ms <= user.now_ms for signal in user.signals)


def test_no_readers_are_refused() -> None:
    with pytest.raises(InvalidInput, match="1 or more"):
        demo_set(0, newest=NEWEST)
