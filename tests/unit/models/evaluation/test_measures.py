"""Recall, nDCG, reciprocal rank and AUC: what each says of one ranking."""

from __future__ import annotations

from itertools import pairwise
from math import inf, log2, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.measures import (
    auc,
    graded_ndcg_at,
    mrr,
    ndcg_at,
    precision_at,
    recall_at,
)
from service.errors import InvalidInput

IDS = st.sampled_from([f"n{i}" for i in range(12)])
RANKED = st.lists(IDS, unique=True)
RELEVANT = st.frozensets(IDS, min_size=1)
K = st.integers(1, 15)
SCORES = st.floats(-5, 5) | st.integers(-2, 2)
SHOWN = st.lists(st.tuples(SCORES, st.booleans()), min_size=2).filter(
    lambda rows: len({clicked for _, clicked in rows}) == 2
)


def auc_of(rows: list[tuple[float, bool]]) -> float:
    return auc([score for score, _ in rows], [clicked for _, clicked in rows])


# --- recall ----------------------------------------------------------------------------------


def test_recall_is_over_all_that_is_relevant_even_where_k_is_less() -> None:
    assert recall_at(["a", "x", "b"], {"a", "b", "c", "d"}, 3) == 0.5
    assert recall_at(["a"], {"a", "b", "c", "d"}, 1) == 0.25


@given(RANKED, RELEVANT)
def test_recall_never_falls_as_k_grows(ranked: list[str], relevant: frozenset[str]) -> None:
    grown = [recall_at(ranked, relevant, k) for k in range(1, 15)]
    assert all(before <= after for before, after in pairwise(grown))
    assert grown[-1] == len(relevant & set(ranked)) / len(relevant)


@given(st.data(), RANKED, RELEVANT, K)
def test_recall_does_not_ask_in_which_order_the_first_k_stand(
    data: st.DataObject, ranked: list[str], relevant: frozenset[str], k: int
) -> None:
    shuffled = data.draw(st.permutations(ranked[:k])) + ranked[k:]
    assert recall_at(shuffled, relevant, k) == recall_at(ranked, relevant, k)


# --- nDCG ------------------------------------------------------------------------------------


def test_ndcg_discounts_each_gain_by_its_rank_and_divides_by_the_best_list() -> None:
    best = 1 + 1 / log2(3)
    assert ndcg_at(["x", "a", "y", "b"], {"a", "b"}, 4) == pytest.approx(
        (1 / log2(3) + 1 / log2(5)) / best
    )
    assert ndcg_at(["x", "a", "y", "b"], {"a", "b"}, 3) == pytest.approx(1 / log2(3) / best)


@given(RELEVANT, K, st.lists(st.sampled_from(["x", "y", "z"]), unique=True))
def test_ndcg_is_one_where_all_that_is_relevant_stands_first(
    relevant: frozenset[str], k: int, rest: list[str]
) -> None:
    assert ndcg_at([*relevant, *rest], relevant, k) == pytest.approx(1)


@given(RANKED, RELEVANT)
def test_ndcg_never_falls_once_k_has_room_for_all_that_is_relevant(
    ranked: list[str], relevant: frozenset[str]
) -> None:
    grown = [ndcg_at(ranked, relevant, k) for k in range(len(relevant), 15)]
    assert all(before <= after for before, after in pairwise(grown))


@given(RANKED, RELEVANT, K)
def test_ndcg_falls_when_a_relevant_id_moves_behind_another(
    ranked: list[str], relevant: frozenset[str], k: int
) -> None:
    for place, (first, other) in enumerate(pairwise(ranked[:k])):
        if first in relevant and other not in relevant:
            moved = [*ranked[:place], other, first, *ranked[place + 2 :]]
            assert ndcg_at(moved, relevant, k) < ndcg_at(ranked, relevant, k)


def test_k_may_be_larger_than_memory() -> None:
    assert ndcg_at(["a"], {"a"}, 10**15) == recall_at(["a"], {"a"}, 10**15) == 1


# --- the reciprocal rank ---------------------------------------------------------------------


def test_the_reciprocal_rank_is_that_of_the_first_relevant_id_alone() -> None:
    assert mrr(["x", "a", "b"], {"a", "b"}) == mrr(["x", "a"], {"a"}) == 0.5
    assert mrr(["x"], {"a"}) == mrr([], {"a"}) == 0


# --- all three of a list ---------------------------------------------------------------------


@given(st.lists(IDS), RELEVANT, K)
def test_a_list_measures_above_0_where_it_finds_anything_and_never_above_1(
    ranked: list[str], relevant: frozenset[str], k: int
) -> None:
    found = not relevant.isdisjoint(ranked[:k])
    for measure in (
        recall_at(ranked, relevant, k),
        ndcg_at(ranked, relevant, k),
        mrr(ranked[:k], relevant),
    ):
        assert (0 < measure <= 1) if found else measure == 0


@given(RANKED, st.lists(IDS, min_size=1), K)
def test_relevant_ids_given_twice_or_in_another_order_change_nothing(
    ranked: list[str], relevant: list[str], k: int
) -> None:
    assert recall_at(ranked, relevant[::-1] * 2, k) == recall_at(ranked, set(relevant), k)
    assert ndcg_at(ranked, relevant[::-1] * 2, k) == ndcg_at(ranked, set(relevant), k)


def test_without_anything_relevant_or_a_first_place_there_is_no_measure() -> None:
    for empty in (
        lambda: recall_at(["a"], set(), 1),
        lambda: ndcg_at(["a"], [], 1),
        lambda: mrr(["a"], ()),
    ):
        with pytest.raises(InvalidInput, match="empty") as refused:
            empty()
        assert refused.value.field == "relevant"
    for measure in (recall_at, ndcg_at):
        with pytest.raises(InvalidInput, match="1 or more") as refused:
            measure(["a"], {"a"}, 0)
        assert refused.value.field == "k"


# --- AUC -------------------------------------------------------------------------------------


def test_auc_counts_the_pairs_that_are_in_the_right_order_and_half_of_the_ties() -> None:
    assert auc([3, 2, 1], [True, False, False]) == 1
    assert auc([1, 2, 3], [True, False, False]) == 0
    assert auc([1, 1, 0], [True, False, False]) == 0.75
    assert auc([inf, -inf], [True, False]) == 1


@given(SHOWN)
def test_auc_is_what_comparing_every_pair_gives(rows: list[tuple[float, bool]]) -> None:
    clicked = [score for score, was in rows if was]
    passed = [score for score, was in rows if not was]
    won = sum((score > other) + (score == other) / 2 for score in clicked for other in passed)
    assert auc_of(rows) == pytest.approx(won / (len(clicked) * len(passed)))
    assert 0 <= auc_of(rows) <= 1


@given(st.data(), SHOWN)
def test_auc_does_not_ask_in_which_order_articles_were_shown(
    data: st.DataObject, rows: list[tuple[float, bool]]
) -> None:
    assert auc_of(data.draw(st.permutations(rows))) == auc_of(rows)


@given(SHOWN)
def test_auc_of_the_opposite_scores_is_the_rest_to_1(rows: list[tuple[float, bool]]) -> None:
    turned = [(-score, clicked) for score, clicked in rows]
    assert auc_of(turned) == pytest.approx(1 - auc_of(rows))


@given(SHOWN)
def test_auc_of_scores_that_are_all_the_same_is_a_half(rows: list[tuple[float, bool]]) -> None:
    assert auc_of([(1.0, clicked) for _, clicked in rows]) == 0.5


@pytest.mark.parametrize(
    ("scores", "labels", "field"),
    [
        ([], [], "labels"),
        ([1.0, 2.0], [True], "labels"),
        ([[1.0], [2.0]], [[True], [False]], "labels"),
        ([1.0, 2.0], [True, True], "labels"),
        ([1.0, 2.0], [False, False], "labels"),
        ([1.0, 2.0], [1, 0], "labels"),
        ([1.0, nan], [True, False], "scores"),
    ],
)
def test_auc_refuses_what_holds_no_pair_to_compare(
    scores: list[float], labels: list[bool], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        auc(scores, labels)
    assert refused.value.field == field


GRADES = {"a": 2, "b": 1, "c": 0}


def test_graded_ndcg_is_one_for_the_best_order_and_less_for_any_other() -> None:
    assert graded_ndcg_at(["a", "b", "c"], GRADES, 10) == pytest.approx(1)
    turned = (1 + 2 / log2(3)) / (2 + 1 / log2(3))
    assert graded_ndcg_at(["b", "a"], GRADES, 10) == pytest.approx(turned)
    assert graded_ndcg_at(["x", "c"], GRADES, 10) == 0
    assert graded_ndcg_at(["a"], GRADES, 1) == 1


def test_graded_ndcg_with_one_grade_is_ndcg() -> None:
    ranked = ["x", "b", "a", "y", "a"]
    ones = dict.fromkeys("ab", 1)
    assert graded_ndcg_at(ranked, ones, 4) == pytest.approx(ndcg_at(ranked, ones, 4))


def test_graded_ndcg_wants_something_relevant() -> None:
    with pytest.raises(InvalidInput, match="nothing to find"):
        graded_ndcg_at(["a"], {"a": 0}, 10)


def test_precision_counts_empty_places_as_misses_and_a_repeated_id_once() -> None:
    assert precision_at(["a", "x", "b"], {"a", "b"}, 10) == 0.2
    assert precision_at(["a", "a"], {"a"}, 2) == 0.5
    with pytest.raises(InvalidInput, match="1 or more"):
        precision_at(["a"], {"a"}, 0)
