"""What popularity counts beside a reader's own queries, on a log."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.evaluation.bench import Bench
from models.evaluation.sets import EvaluationSet
from models.studies.popular_weight import measure_weights, popularities, reference
from tests.unit.models.builders import reader, signal, small_set

ANNA = replace(
    reader("anna", "ferry", signal("battery ferry on the fjord", 0)),
    shown=(("ferry+1", True), ("chess+1", False)),
    popular={"chess+1": 9.0, "chess+2": 2.0},
)


def log() -> EvaluationSet:
    return replace(small_set(ANNA), simulated=False)


def test_popularity_is_that_of_the_users_moment_from_0_to_1() -> None:
    data = log()
    scale = dict(zip([a.id for a in data.articles], popularities(data, ANNA), strict=True))
    assert scale["chess+1"] == 1.0
    assert 0 < scale["chess+2"] < 1
    assert scale["ferry+1"] == 0.0


def test_the_reference_adds_what_the_history_says_to_popularity() -> None:
    data = log()
    nothing = np.zeros(len(data.articles))
    with Bench(data) as bench:
        scores = reference(bench, ANNA, nothing)
        popular = reference(bench, ANNA, nothing + 5.0)
    best = data.articles[int(np.argmax(scores))].id
    assert best.startswith("ferry")
    np.testing.assert_allclose(popular - scores, 5.0)


def test_the_more_popularity_counts_the_more_of_the_popular_articles_are_listed() -> None:
    with Bench(log(), limit=50) as bench:
        before = bench.settings
        found, _ = measure_weights(bench, (0.0, 10.0))
        assert bench.settings == before
    assert list(found) == ["popularity", "history", "0", "10"]
    assert found["history"][1] == 1.0, "what the history says tells the click apart"
    assert found["popularity"][1] == 0.0, "popularity is for the other one"
    assert found["0"][1] == 1.0
    assert found["10"][1] == 0.0
