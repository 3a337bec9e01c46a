"""Lists are searched, merged and measured as they are served."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.bench import Bench
from models.evaluation.evaluate import evaluate_lists
from service.errors import InvalidInput
from tests.unit.models.builders import queries, reader, signal, small_set

ANNA = reader("anna", "ferry", signal("chess champion", 0), signal("crossing a fjord", 1))
BEN = reader("ben", "bread", signal("loaf tin", 0, "purchase"))


def test_a_list_that_finds_the_later_articles_has_a_recall_of_one() -> None:
    with Bench(small_set(ANNA, BEN)) as bench:
        found = evaluate_lists(bench, {"anna": queries("battery ferry"), "ben": queries("chess")})
    assert found["L"]["recall@50"].tolist() == [1.0, 0.0]
    assert found["L"]["ndcg@50"][0] > 0.5


def test_own_signals_without_weight_leave_the_list_alone() -> None:
    data = small_set(ANNA, BEN)
    with Bench(data, own_weight=0.0) as bench:
        found = evaluate_lists(bench, {"anna": queries("loaf")})
    for measure, values in found["L"].items():
        np.testing.assert_array_equal(found["S"][measure], values)


def test_a_user_without_a_list_gets_nothing_alone() -> None:
    with Bench(small_set(ANNA)) as bench:
        assert evaluate_lists(bench, {})["L"]["recall@100"].tolist() == [0.0]


def test_only_eight_queries_of_a_list_count() -> None:
    with Bench(small_set(ANNA)) as bench:
        late = {"anna": queries(*["zeppelin"] * 8, "battery ferry")}
        assert evaluate_lists(bench, late)["L"]["recall@50"].tolist() == [0.0]


def test_lists_of_somebody_else_are_refused() -> None:
    with Bench(small_set(ANNA)) as bench, pytest.raises(InvalidInput, match="'eve' is no user"):
        evaluate_lists(bench, {"eve": queries("ferry")})
