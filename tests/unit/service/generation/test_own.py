from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from service.generation import own
from service.generation.own import beside, own_queries
from service.records import Query, Signal

WORDS = ("moon", "ferry", "bread", "chess", "opera", "glacier", "quantum")


def signal(at_ms: int, text: str, weight: float = 1.0) -> Signal:
    return Signal(at_ms, "search", text, f"e{at_ms}", weight=weight)


def test_the_newest_come_first() -> None:
    found = own_queries([signal(1, "old"), signal(2, "Solar  Eclipse"), signal(3, "moon")], 2, 0.5)
    assert found == (
        Query("moon", 0.5, "signal", ("e3",), "moon"),
        Query("Solar Eclipse", 0.5, "signal", ("e2",), "Solar Eclipse"),
    )


def test_the_same_words_are_one_query_that_credits_every_signal() -> None:
    found = own_queries(
        [signal(1, "The MOON  landing"), signal(2, "ferry"), signal(3, "moon landing")], 9, 1
    )
    assert [(query.text, query.signals) for query in found] == [
        ("moon landing", ("e3", "e1")),
        ("ferry", ("e2",)),
    ]


def test_what_tells_nothing_about_news_is_not_searched() -> None:
    bought = Signal(1, "purchase", "nike mens running shoes size 43, black", "e1")
    found = own_queries([bought, signal(2, "how to watch the moon landing")], 9, 1)
    assert [query.text for query in found] == ["watch moon landing", "nike running shoes"]
    assert own_queries([signal(1, "facebook login")], 9, 1) == ()


def test_what_is_encoded_is_the_signal_as_it_was_said() -> None:
    asked = signal(1, "why is  my loaf so flat?")
    (own,) = own_queries([asked], 9, 1)
    assert (own.text, own.meaning) == ("loaf flat", "why is my loaf so flat?")
    (written,) = beside((Query("Loaf flat"),), [asked], 0, 1)
    assert (written.text, written.meaning) == ("Loaf flat", "why is my loaf so flat?")
    assert Query("bread").meaning == "bread"


def test_a_signals_weight_scales_its_query() -> None:
    assert [query.weight for query in own_queries([signal(1, "moon", 4.0)], 1, 0.5)] == [2.0]


def test_what_has_no_letter_is_left_out() -> None:
    texts = ["2024", "", "🔭", "?!", "日食"]
    assert [
        query.text for query in own_queries([signal(n, t) for n, t in enumerate(texts)], 9, 1)
    ] == ["日食"]


def test_no_room_or_no_weight_means_no_query() -> None:
    assert own_queries([signal(1, "moon")], 0, 1) == own_queries([signal(1, "moon")], 5, 0) == ()


@given(st.lists(st.text(max_size=6), max_size=12), st.integers(0, 6))
def test_queries_are_distinct_bounded_and_hold_letters(texts: list[str], limit: int) -> None:
    found = own_queries([signal(n, text) for n, text in enumerate(texts)], limit, 1.0)
    assert len(found) <= limit
    assert len({query.text.casefold() for query in found}) == len(found)
    assert all(any(letter.isalpha() for letter in query.text.casefold()) for query in found)


def test_a_written_query_that_repeats_a_signal_stands_for_it_and_leaves_its_place_to_the_next() -> (
    None
):
    signals = [signal(1, "bread"), signal(2, "MOON landing"), signal(3, "moon landing")]
    written = (Query("Moon landing", 1.0, "student", ("e3",)), Query("ferry strike", 1.0))
    assert beside(written, signals, 1, 0.5) == (
        Query("Moon landing", 1.0, "student", ("e3", "e2"), "moon landing"),
        Query("ferry strike", 1.0),
        Query("bread", 0.5, "signal", ("e1",), "bread"),
    )


def test_the_weight_that_a_caller_gave_a_signal_counts_whichever_way_it_is_searched() -> None:
    signals = [signal(1, "bread", 3.0), signal(2, "moon", 4.0)]
    found = beside((Query("moon", 1.0, "student", ("e2",)),), signals, 5, 0.5)
    assert [(query.text, query.weight) for query in found] == [("moon", 4.0), ("bread", 1.5)]


def test_without_own_signals_a_list_is_served_alone() -> None:
    written = (Query("moon", 1.0, "student", ("e1",)),)
    for limit, weight in ((0, 1.0), (5, 0.0)):
        assert beside(written, [signal(1, "The moon"), signal(2, "bread")], limit, weight) == (
            Query("moon", 1.0, "student", ("e1",), "The moon"),
        )


@given(
    st.lists(st.sampled_from(WORDS), max_size=12),
    st.lists(st.sampled_from(WORDS), max_size=4, unique=True),
    st.integers(0, 6),
)
def test_a_list_keeps_its_order_and_no_text_is_searched_twice(
    texts: list[str], named: list[str], limit: int
) -> None:
    signals = [signal(n, text) for n, text in enumerate(texts)]
    found = beside([Query(text) for text in named], signals, limit, 1.0)
    assert [query.text for query in found[: len(named)]] == named
    assert len({query.text for query in found}) == len(found)
    unnamed = set(texts) - set(named)
    assert len(found) == len(named) + min(limit, len(unnamed))


@given(query=st.builds(Query, st.text(), st.floats(0.1, 9), signals=st.just(("a", "b"))))
def test_another_weight_changes_nothing_else_of_a_query(query: Query) -> None:
    for said in ("", "what the signal says"):
        of_a_signal = replace(query, origin="signal", said=said)
        assert own._weighed(of_a_signal, 0.25) == replace(of_a_signal, weight=0.25)
