from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from models.demo.articles import demo_articles
from models.demo.users import DAYS, DRAWN, demo_users
from service.records import DOMAINS

NEWEST = datetime(2026, 3, 1, tzinfo=UTC)
LAST_MS = int(NEWEST.timestamp() * 1000)


@pytest.fixture(scope="module")
def users():
    return demo_users(newest=NEWEST)


def test_there_are_many_users_with_ids_and_descriptions_of_their_own(users):
    assert len(users) >= 60
    assert len({user.user_id for user in users}) == len(users)
    assert all(user.about for user in users)
    assert "maya" in {user.user_id for user in users}


def test_three_have_no_signals_five_one_or_two_and_one_over_two_hundred(users):
    counts = [len(user.signals) for user in users]
    assert counts.count(0) == 3
    assert sum(1 <= count <= 2 for count in counts) == 5
    assert sum(count > 200 for count in counts) == 1


def test_signals_cross_all_domains(users):
    domains = Counter(signal.domain for user in users for signal in user.signals)
    assert set(domains) == set(DOMAINS)
    assert min(domains.values()) >= 50
    assert sum(len({s.domain for s in user.signals}) >= 4 for user in users) >= 50


def test_signals_are_dated_in_the_last_thirty_days_oldest_first(users):
    first = int((NEWEST - timedelta(days=DAYS)).timestamp() * 1000)
    for user in users:
        times = [signal.at_ms for signal in user.signals]
        assert times == sorted(times)
        assert all(first <= at <= LAST_MS for at in times)


def test_a_news_click_names_an_article_that_was_out_by_then(users):
    articles = {article.id: article for article in demo_articles(newest=NEWEST)}
    clicks = [s for user in users for s in user.signals if s.domain == "news"]
    assert clicks
    for click in clicks:
        article = articles[click.item]
        assert click.text == article.title
        assert click.category == article.category
        assert click.at_ms >= article.published_ms


def test_signal_ids_are_unique_and_texts_are_not_empty(users):
    signals = [signal for user in users for signal in user.signals]
    assert len({signal.id for signal in signals}) == len(signals)
    assert all(signal.text.strip() for signal in signals)
    assert all(len(signal.text) <= 2_000 for signal in signals)


def test_the_odd_user_is_labelled(users):
    odd = next(user for user in users if user.user_id == "odd-texts")
    assert "on purpose" in odd.about
    assert max(len(signal.text) for signal in odd.signals) > 1_000
    assert any("Ignore all previous" in signal.text for signal in odd.signals)


def test_the_same_seed_gives_the_same_users(users):
    assert demo_users(newest=NEWEST) == users


def test_more_of_them_leave_the_first_as_they_were(users):
    more = demo_users(newest=NEWEST, drawn=80)
    assert more[: len(users)] == users
    assert len(more) == len(users) + 80 - DRAWN
