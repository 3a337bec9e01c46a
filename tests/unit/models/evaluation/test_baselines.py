"""What a student has to beat: each baseline's queries."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from models.evaluation.baselines import (
    PhraseCounts,
    all_in_one,
    baseline_lists,
    clicked_titles,
    own_signals,
    tfidf_phrases,
)
from service.records import Query
from service.words.text import stems
from tests.unit.models.builders import article, reader, signal, small_set


def counted(*titles: str) -> PhraseCounts:
    counts = PhraseCounts()
    counts.add(article(str(number), title) for number, title in enumerate(titles))
    return counts


def texts(found: Sequence[Query]) -> list[str]:
    return [query.text for query in found]


def test_own_signals_are_the_newest_twelve() -> None:
    many = [signal(f"search for number{word}", n) for n, word in enumerate("abcdefghijklmnop")]
    found = own_signals(many)
    assert texts(found) == [f"search number{word}" for word in "ponmlkjihgfe"]
    assert {query.weight for query in found} == {1.0}


def test_clicked_titles_leave_every_other_domain_out() -> None:
    signals = [signal("Ferry strikes", 0, "news"), signal("ferry tickets", 1)]
    assert texts(clicked_titles(signals)) == ["Ferry strikes"]


def test_all_signals_are_one_query_the_newest_first() -> None:
    signals = [signal("ferry  tickets", 0), signal("4711", 1), signal("chess set", 2)]
    assert texts(all_in_one(signals)) == ["chess set ferry tickets"]
    assert all_in_one([signal("4711")]) == ()


def test_a_phrase_that_few_articles_hold_goes_before_a_common_one() -> None:
    counts = counted("ferry news", "ferry strike", "ferry fares", "chess")
    assert texts(tfidf_phrases([signal("ferry"), signal("chess", 1)], counts)) == ["chess", "ferry"]


def test_a_phrase_that_is_said_often_goes_before_one_that_is_said_once() -> None:
    said = [signal("chess", 0), signal("oysters", 1), signal("the chess and", 2)]
    assert texts(tfidf_phrases(said, counted("weather")))[0] == "chess"


def test_no_two_phrases_share_a_stem_and_there_are_at_most_eight() -> None:
    said = [signal("battery ferries", 0), signal("ferry battery fire", 1)]
    found = texts(tfidf_phrases(said, counted("weather")))
    every = [stem for text in found for stem in stems(text)]
    assert len(every) == len(set(every))
    many = [signal(f"{letter}im{letter} oak", n) for n, letter in enumerate("bcdfghklmn")]
    assert len(tfidf_phrases(many, counted("weather"))) == 8


def test_stop_words_and_numbers_part_a_pair() -> None:
    found = texts(tfidf_phrases([signal("ferry to 12 islands")], counted("weather")))
    assert sorted(found) == ["ferry", "islands"]


def test_a_user_without_words_gets_no_phrases() -> None:
    assert tfidf_phrases([signal("2024")], counted("weather")) == ()
    assert tfidf_phrases([], counted("weather")) == ()


def test_phrases_are_weighed_by_articles_from_before_the_users_now_only() -> None:
    """In the set, `island` stands in later articles alone: a later count would make it common."""
    user = reader("u", "ferry", signal("chess chessisland"))
    (phrase, *_) = baseline_lists(small_set(user))["tf-idf"]["u"]
    counts = counted(
        *[article.title for article in small_set().articles if article.published_ms <= user.now_ms]
    )
    assert phrase == tfidf_phrases(user.signals, counts)[0]
    assert counts.idf(("chessisland",)) == pytest.approx(counts.idf(("unheard",)))
