from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.generation.consensus import consensus
from service.records import Query

_WORDS = ["storm", "flood", "senate", "vote", "comet", "vaccine", "opera", "tariff"]
_QUERY = st.builds(
    Query,
    text=st.lists(st.sampled_from(_WORDS), min_size=1, max_size=5, unique=True).map(" ".join),
    weight=st.sampled_from([0.5, 1.0]),
    signals=st.lists(st.sampled_from(["a", "b", "c"]), max_size=2, unique=True).map(tuple),
)
_LIST = st.lists(_QUERY, max_size=6)
_LISTS = st.lists(_LIST, min_size=1, max_size=5)


def said(*texts: str) -> list[Query]:
    return [Query(text) for text in texts]


def weights(queries: tuple[Query, ...]) -> dict[str, float]:
    return {query.text: query.weight for query in queries}


def weight_of(samples: list[list[Query]], wanted: str) -> float:
    """The weight of the merged query that stands for the one with the text `wanted`."""
    marked = [
        [replace(q, signals=("wanted",)) if q.text == wanted else q for q in sample]
        for sample in samples
    ]
    return max(q.weight for q in consensus(marked, 1000) if "wanted" in q.signals)


def test_one_sample_stays_as_it_is() -> None:
    one = [Query("storm", 0.5, signals=("a",)), Query("storm flood", 2.0)]
    assert consensus([one], 8) == tuple(one)
    assert consensus([one], 1) == (one[0],)


def test_no_samples_give_no_queries() -> None:
    assert consensus([], 8) == ()
    assert consensus([[], []], 8) == ()


def test_a_query_weighs_the_share_of_samples_that_say_it() -> None:
    merged = consensus([said("storm", "comet"), said("comet"), said("comet", "opera")], 8)
    assert [q.text for q in merged] == ["comet", "storm", "opera"]
    assert [q.weight for q in merged] == pytest.approx([1, 1 / 3, 1 / 3])


def test_other_forms_of_the_same_words_agree() -> None:
    merged = consensus([said("senate vote storm"), said("Senate voting on storms")], 8)
    assert [q.weight for q in merged] == [1.0]


def test_one_exchanged_word_of_four_is_another_query() -> None:
    merged = consensus([said("fed interest rate cut"), said("fed interest rate hike")], 8)
    assert len(merged) == 2


def test_the_medoid_speaks_for_what_was_said() -> None:
    merged = consensus(
        [said("senate vote"), said("senate vote tariff"), said("senate vote tariff comet")], 8
    )
    assert weights(merged) == {"senate vote tariff": 1.0}


def test_a_merged_query_stems_from_the_signals_of_all() -> None:
    one, other = Query("comet", signals=("a",)), Query("comets", signals=("b", "a"))
    [merged] = consensus([[one], [other]], 8)
    assert set(merged.signals) == {"a", "b"}


def test_saying_it_twice_in_one_sample_counts_once() -> None:
    merged = consensus([said("storm", "storms"), said("comet")], 8)
    assert weights(merged) == {"storm": 0.5, "comet": 0.5}


@given(_LISTS, st.integers(1, 8), st.randoms())
def test_the_order_of_the_samples_does_not_matter(
    lists: list[list[Query]], max_queries: int, random: Random
) -> None:
    shuffled = [*lists]
    random.shuffle(shuffled)
    assert consensus(shuffled, max_queries) == consensus(lists, max_queries)


@given(_LISTS)
def test_one_more_sample_that_says_a_query_never_lowers_its_weight(
    lists: list[list[Query]],
) -> None:
    for wanted in {query.text for sample in lists for query in sample}:
        more = [*lists, [Query(wanted)]]
        assert weight_of(more, wanted) >= weight_of(lists, wanted) - 1e-9


@given(_LISTS, st.integers(1, 8))
def test_queries_are_few_enough_and_ordered_by_weight(
    lists: list[list[Query]], max_queries: int
) -> None:
    merged = consensus(lists, max_queries)
    assert len(merged) <= max_queries
    if len(lists) > 1:
        assert [q.weight for q in merged] == sorted((q.weight for q in merged), reverse=True)
        assert all(0 < q.weight <= 1 for q in merged)
    assert consensus(lists, max_queries + 1)[: len(merged)] == merged


@given(_LIST, st.integers(2, 4))
def test_samples_that_all_agree_weigh_as_one(one: list[Query], n: int) -> None:
    apart = [q for i, q in enumerate(one) if q.text not in {p.text for p in one[:i]}]
    for query in consensus([apart] * n, 100):
        assert query.weight in {q.weight for q in apart}
