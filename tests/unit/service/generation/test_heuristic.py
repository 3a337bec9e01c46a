from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from service.generation.heuristic import LEAST_WEIGHT, heuristic_queries
from service.records import DOMAINS, Query, Signal
from service.words.text import clean
from tests.unit.service.generation.builders import DAY_MS, HOUR_MS, NOW_MS, signal


def texts(queries: tuple[Query, ...]) -> list[str]:
    return [query.text for query in queries]


def test_signals_about_the_same_thing_become_one_query_with_the_words_of_all() -> None:
    [query] = heuristic_queries(
        [
            signal("Glacier melt in Greenland", "news", 2 * HOUR_MS, id="a"),
            signal("greenland glacier flights", "search", HOUR_MS, id="b"),
        ],
        8,
    )
    assert query.text == "Glacier melt Greenland flights"
    assert query.origin == "heuristic"
    assert set(query.signals) == {"a", "b"}


def test_an_older_signal_counts_less() -> None:
    queries = heuristic_queries(
        [signal("opera premiere", age_ms=20 * DAY_MS), signal("comet sighting")], 8
    )
    assert texts(queries) == ["comet sighting", "opera premiere"]
    assert queries[0].weight == 1.0
    assert LEAST_WEIGHT < queries[1].weight < 1.0


def test_a_click_on_news_says_more_than_a_purchase() -> None:
    queries = heuristic_queries(
        [signal("tennis racket", "purchase"), signal("comet sighting", "news")], 8
    )
    assert texts(queries) == ["comet sighting", "tennis racket"]


def test_repeated_interest_comes_first_but_does_not_drown_the_rest() -> None:
    often = [signal("comet sighting", "news", i * HOUR_MS, id=f"c{i}") for i in range(50)]
    queries = heuristic_queries([*often, signal("opera premiere", "news")], 8)
    assert texts(queries) == ["comet sighting", "opera premiere"]
    assert queries[1].weight > LEAST_WEIGHT + 0.1


def test_the_strongest_interests_are_taken() -> None:
    signals = [signal(f"topic{chr(97 + i)} story", age_ms=i * DAY_MS) for i in range(10)]
    assert texts(heuristic_queries(signals, 2)) == ["topica story", "topicb story"]


def test_nothing_comes_of_nothing() -> None:
    assert heuristic_queries([], 8) == ()
    assert heuristic_queries([signal("!!!"), signal("the of"), signal("facebook login")], 8) == ()


def test_a_weight_that_is_no_positive_number_counts_nothing() -> None:
    odd = [signal("comet", weight=w) for w in (0.0, -1.0, float("nan"), float("inf"))]
    assert heuristic_queries(odd, 8) == ()


def test_a_very_old_signal_beside_a_new_one_does_no_harm() -> None:
    ancient = replace(signal("opera premiere"), at_ms=0)
    assert texts(heuristic_queries([ancient, signal("comet")], 8)) == ["comet"]


def test_a_query_is_at_most_twelve_words() -> None:
    [query] = heuristic_queries([signal(" ".join(f"word{i}x" for i in range(40)), "news")], 8)
    assert len(query.text.split()) == 12


_TOPICS = ["storm flood rain", "senate vote bill", "comet tail sighting", "opera premiere singer"]
_TEXT = st.one_of(
    st.sampled_from(_TOPICS),
    st.lists(st.sampled_from(" ".join(_TOPICS).split()), min_size=1, max_size=5).map(" ".join),
)
_SIGNAL = st.builds(
    Signal,
    at_ms=st.integers(NOW_MS - 60 * DAY_MS, NOW_MS),
    domain=st.sampled_from(DOMAINS),
    text=_TEXT,
    id=st.uuids().map(str),
    weight=st.sampled_from([0.2, 1.0, 3.0]),
)


def standing_of(queries: tuple[Query, ...], id_: str) -> Query | None:
    return next((query for query in queries if id_ in query.signals), None)


@given(st.lists(_SIGNAL, min_size=1, max_size=12, unique_by=lambda s: s.id), _SIGNAL)
def test_one_more_signal_about_an_interest_never_lowers_it(
    signals: list[Signal], more: Signal
) -> None:
    budget = len(signals) + 1
    before = heuristic_queries(signals, budget)
    after = heuristic_queries([*signals, more], budget)
    joined = standing_of(after, more.id)
    assert joined is not None
    for old in signals:
        was, now = standing_of(before, old.id), standing_of(after, old.id)
        assert now is not None  # below the budget, every interest keeps a query
        assert was is not None
        if now is joined:
            assert now.weight >= was.weight - 1e-9
            stronger = [q for q in before if q.weight > was.weight + 1e-6]
            assert after.index(now) <= max(before.index(was), len(stronger))


@given(st.lists(_SIGNAL, min_size=1, max_size=12, unique_by=lambda s: s.id), _SIGNAL)
def test_an_interest_that_had_a_query_keeps_one_at_any_budget(
    signals: list[Signal], more: Signal
) -> None:
    old = signals[0]
    same = replace(more, text=old.text, domain=old.domain)
    if standing_of(heuristic_queries(signals, 2), old.id):
        assert standing_of(heuristic_queries([*signals, same], 2), old.id)


@given(st.lists(_SIGNAL, max_size=12, unique_by=lambda s: s.id), st.randoms())
def test_the_order_of_the_signals_and_the_hour_do_not_matter(
    signals: list[Signal], random: Random
) -> None:
    later = [replace(s, at_ms=s.at_ms + DAY_MS) for s in signals]
    random.shuffle(later)
    assert heuristic_queries(later, 4) == heuristic_queries(signals, 4)


@given(st.lists(st.builds(signal, st.text(), st.sampled_from(DOMAINS)), max_size=6))
def test_any_text_makes_clean_queries_or_none(signals: list[Signal]) -> None:
    for query in heuristic_queries(signals, 8):
        assert query.text == clean(query.text)
        assert any(c.isalpha() for c in query.text)
        assert 0 < query.weight <= 1
