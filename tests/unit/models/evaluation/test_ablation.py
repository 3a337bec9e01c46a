"""What is served, with one part switched off at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from models.evaluation.ablation import each_search, evaluate_ways, without_each_part
from models.evaluation.bench import Bench
from models.evaluation.evaluate import MEASURES, evaluate_lists
from service.encoding.onnx import OnnxModel
from service.retrieval.fusion import FusionSettings
from tests.unit.models.builders import queries, reader, signal, small_set
from tests.unit.models.evaluation.test_bench import Meanings

ANNA = reader("anna", "ferry", signal("chess champion", 0), signal("crossing a fjord", 1))
BEN = reader("ben", "bread", signal("loaf tin", 0, "purchase"))
MODEL = cast(OnnxModel, Meanings())


def test_with_nothing_switched_off_it_is_what_is_served() -> None:
    lists = {"anna": queries("ferry"), "ben": queries("zeppelin")}
    with Bench(small_set(ANNA, BEN)) as bench:
        served = evaluate_lists(bench, lists)
        found = evaluate_ways(bench, lists, without_each_part(bench))
    for measure, values in served["S"].items():
        np.testing.assert_array_equal(found["nothing"][measure], values)
    for measure, values in served["L"].items():
        np.testing.assert_array_equal(found["own signals"][measure], values)


def test_without_the_list_the_own_signals_are_left() -> None:
    with Bench(small_set(BEN)) as bench:
        found = evaluate_ways(bench, {"ben": queries("sourdough")}, without_each_part(bench))
    assert found["nothing"]["recall@50"].tolist() == [1.0]
    assert found["the list"]["recall@50"].tolist() == [0.0]


def test_what_only_meaning_finds_is_lost_without_meaning() -> None:
    with Bench(small_set(BEN), encoder=MODEL) as bench:
        lists = {"ben": queries("croissant")}
        parts = evaluate_ways(bench, lists, without_each_part(bench))
        alone = evaluate_ways(bench, lists, each_search(bench, beside=False))
    assert parts["nothing"]["recall@50"].tolist() == [1.0]
    assert parts["meaning"]["recall@50"].tolist() == [0.0]
    assert {kind: found["recall@50"].tolist() for kind, found in alone.items()} == {
        "words": [0.0],
        "meaning": [1.0],
        "both": [1.0],
    }


def test_parts_that_are_not_there_cannot_be_switched_off() -> None:
    data = small_set(ANNA)
    with Bench(data) as bench:
        names = set(without_each_part(bench))
    assert names.isdisjoint({"meaning", "words", "popularity", "the first own places"})
    with Bench(data, encoder=MODEL) as bench:
        assert set(without_each_part(bench)) - names == {"meaning", "words"}
    with Bench(replace(data, simulated=False)) as bench:
        ways = without_each_part(bench)
    assert set(ways) - names == {"popularity", "the first own places"}
    assert [name for name, way in ways.items() if not way.popular] == ["popularity"]


def test_each_part_of_the_fusion_is_switched_off_by_itself() -> None:
    with Bench(small_set(ANNA), encoder=MODEL) as bench:
        ways = without_each_part(bench)
    served = FusionSettings()
    changed = {
        name: {
            field
            for field in FusionSettings.__slots__
            if getattr(way.settings, field) != getattr(served, field)
        }
        for name, way in ways.items()
    }
    assert {name: fields for name, fields in changed.items() if fields} == {
        "freshness": {"freshness_weight"},
        "places in turn": {"diversity"},
        "near-duplicates": {"near_duplicate"},
        "category roof": {"category_share"},
    }


def test_the_bench_serves_as_before_when_it_is_done() -> None:
    with Bench(small_set(ANNA)) as bench:
        before = bench.settings, bench.searched_by
        evaluate_ways(bench, {}, without_each_part(bench))
        assert (bench.settings, bench.searched_by) == before


def test_in_a_log_scores_within_the_impression_are_measured_where_they_are_asked_for() -> None:
    shown = (("ferry+1", True), ("chess+1", False))
    data = replace(small_set(replace(ANNA, shown=shown)), simulated=False)
    with Bench(data) as bench:
        scored = evaluate_ways(bench, {"anna": queries("ferry")}, each_search(bench, beside=True))
        parts = evaluate_ways(bench, {"anna": queries("ferry")}, without_each_part(bench))
    assert scored["both"]["auc"].tolist() == [1.0]
    assert set(parts["nothing"]) == set(MEASURES)
