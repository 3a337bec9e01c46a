"""Which articles are live when, by what the articles and the log know."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.mind.liveness import Liveness
from service.errors import InvalidInput
from service.records import Article
from service.signals.clicks import Impression

DAY = 86_400_000
IDS = st.sampled_from("abcdefgh")
TIMES = st.integers(0, 20).map(lambda days: 1 + days * DAY // 2)
DATED = st.builds(Article, id=IDS, title=st.just("T"), published_ms=st.just(0) | TIMES)
IMPRESSIONS = st.lists(
    st.builds(
        Impression,
        id=st.just("1"),
        user=st.just("u"),
        at_ms=st.none() | TIMES,
        history=st.just(()),
        shown=st.lists(st.tuples(IDS, st.booleans())).map(tuple),
    )
)


def articles(**published_ms: int) -> list[Article]:
    return [Article(id=name, title="T", published_ms=at) for name, at in published_ms.items()]


def shown(at_ms: int | None, *ids: str) -> Impression:
    return Impression("1", "u", at_ms, (), tuple((id_, False) for id_ in ids))


# --- the three cases -------------------------------------------------------------------------


def test_an_article_with_a_date_is_live_from_it_on_wherever_it_was_shown() -> None:
    live = Liveness(articles(b=2 * DAY, a=DAY), [shown(DAY // 2, "a", "b")])
    assert live.live_at(DAY - 1) == ()
    assert live.live_at(DAY) == ("a",)
    assert live.live_at(2 * DAY) == live.live_at(9 * DAY) == ("a", "b")


def test_a_greatest_age_ends_the_life_of_articles_with_a_date() -> None:
    live = Liveness(articles(a=DAY, b=2 * DAY), [], max_age_days=1.5)
    assert live.live_at(2 * DAY + DAY // 2) == ("a", "b")
    assert live.live_at(2 * DAY + DAY // 2 + 1) == ("b",)
    assert live.live_at(9 * DAY) == ()


def test_without_dates_an_article_is_live_from_its_first_appearance_on() -> None:
    log = [shown(3 * DAY, "a", "b"), shown(2 * DAY, "b"), shown(4 * DAY, "c", "unknown")]
    live = Liveness(articles(a=0, b=0, c=0, never_shown=0), log, max_age_days=1)
    assert live.live_at(2 * DAY - 1) == ()
    assert live.live_at(2 * DAY) == ("b",)
    assert live.live_at(3 * DAY) == ("b", "a")
    assert live.live_at(99 * DAY) == ("b", "a", "c")


def test_without_dates_and_times_all_that_the_log_shows_is_live() -> None:
    live = Liveness(articles(a=0, b=0, never_shown=0), [shown(None, "a"), shown(None, "b")])
    assert set(live.live_at(None)) == set(live.live_at(DAY)) == {"a", "b"}


def test_every_article_goes_by_the_best_that_is_known_of_it() -> None:
    log = [shown(5 * DAY, "dated", "undated", "both"), shown(None, "untimed", "both")]
    live = Liveness(articles(dated=3 * DAY, undated=0, untimed=0, both=0), log)
    assert live.live_at(DAY) == ("untimed",)
    assert live.live_at(3 * DAY) == ("dated", "untimed")
    assert live.live_at(5 * DAY) == ("dated", "untimed", "both", "undated")


# --- for any articles and log ----------------------------------------------------------------


@given(st.lists(DATED, unique_by=lambda article: article.id), IMPRESSIONS)
def test_what_an_impression_shows_is_live_then_unless_it_is_dated_later(
    known: Sequence[Article], log: Sequence[Impression]
) -> None:
    live = Liveness(known, log)
    dates = {article.id: article.published_ms for article in known}
    for impression in log:
        at_ms = impression.at_ms
        for id_, _ in impression.shown:
            early = at_ms is not None and at_ms < dates.get(id_, 0)
            assert live.is_live(id_, at_ms) == (id_ in dates and not early)


@given(
    st.lists(DATED, unique_by=lambda article: article.id),
    IMPRESSIONS,
    st.none() | st.sampled_from([0.5, 1, 3.25]),
    st.none() | TIMES,
)
def test_asking_for_one_article_and_for_all_agree(
    known: Sequence[Article],
    log: Sequence[Impression],
    max_age_days: float | None,
    at_ms: int | None,
) -> None:
    live = Liveness(known, log, max_age_days=max_age_days)
    listed = live.live_at(at_ms)
    assert len(listed) == len(set(listed))
    assert set(listed) == {id_ for id_ in "abcdefgh" if live.is_live(id_, at_ms)}
    assert set(listed) <= {article.id for article in known}


@given(st.lists(DATED, unique_by=lambda article: article.id), IMPRESSIONS, TIMES, TIMES)
def test_without_a_greatest_age_what_is_live_stays_live(
    known: Sequence[Article], log: Sequence[Impression], at_ms: int, other_ms: int
) -> None:
    live = Liveness(known, log)
    assert set(live.live_at(min(at_ms, other_ms))) <= set(live.live_at(max(at_ms, other_ms)))


@given(st.data(), st.lists(DATED, unique_by=lambda article: article.id), IMPRESSIONS, TIMES)
def test_the_order_of_articles_and_log_changes_nothing(
    data: st.DataObject, known: list[Article], log: list[Impression], at_ms: int
) -> None:
    turned = Liveness(data.draw(st.permutations(known)), data.draw(st.permutations(log)))
    assert turned.live_at(at_ms) == Liveness(known, log).live_at(at_ms)


@pytest.mark.parametrize("days", [0, -1, float("nan"), float("inf")])
def test_a_greatest_age_that_is_none_is_refused(days: float) -> None:
    with pytest.raises(InvalidInput, match="days above 0") as refused:
        Liveness([], [], max_age_days=days)
    assert refused.value.field == "max_age_days"
