"""Every baseline and student is measured on the same set."""

from __future__ import annotations

from typing import cast

import numpy as np

from models.evaluation.baselines import BASELINES
from models.evaluation.bench import Bench
from models.evaluation.evaluate import evaluate_lists
from models.evaluation.systems import as_many, evaluate_baselines, evaluate_systems, own_as_many
from models.progress import Progress
from service.encoding.onnx import OnnxModel
from tests.unit.models.builders import queries, reader, signal, small_set
from tests.unit.models.evaluation.test_bench import Meanings

ANNA = reader("anna", "ferry", signal("chess champion", 0), signal("crossing a fjord", 1))
BEN = reader("ben", "bread", signal("loaf tin", 0, "purchase"))


def test_beside_the_own_signals_a_list_that_finds_nothing_is_as_good_as_they_are() -> None:
    data = small_set(ANNA, BEN)
    with Bench(data) as bench:
        found = evaluate_lists(bench, {"anna": queries("zeppelin")})
        systems, _ = evaluate_baselines(bench)
    assert found["L"]["recall@50"].tolist() == [0.0, 0.0]
    own = next(system for system in systems if system.name == "own signals")
    for measure, values in own.measured.items():
        np.testing.assert_array_equal(found["S"][measure], values)


def test_every_baseline_is_measured_for_every_user() -> None:
    steps: dict[str, int] = {}

    def stage(what: str, total: int) -> Progress:
        steps[what] = -total

        def tell(done: int) -> None:
            steps[what] += done

        return tell

    done = evaluate_systems(small_set(ANNA, BEN), {"mine": {"anna": queries("ferry")}}, stage)
    cut = {"tf-idf, as many as mine", "own signals, as many as mine (S)"}
    assert {system.name for system in done.systems} == {*BASELINES, "mine", *cut}
    assert all(len(values) == 2 for system in done.systems for values in system.measured.values())
    assert [system.reading for system in done.systems if system.student] == ["L", "S"]
    parts = {"heuristic: part by part", "mine: part by part"}
    assert set(steps) == {"articles indexed", "baselines", "mine", *parts}
    assert set(steps.values()) == {0}


def test_a_baseline_cut_to_a_list_has_as_many_queries_as_each_user_s_list() -> None:
    phrases = {"anna": queries("fjord", "crossing", "chess"), "ben": queries("loaf", "tin")}
    cut = as_many(phrases, {"anna": queries("ferry", "battery")})
    assert cut == {"anna": queries("fjord", "crossing"), "ben": ()}


def test_own_signals_can_be_as_many_as_are_searched_beside_a_list() -> None:
    said = [signal(f"zeppelin{n} hangar{n}", n) for n in range(20)]
    user = reader("u", "ferry", *said)
    with Bench(small_set(user)) as bench:
        for lists, searched in (({}, 12), ({"u": queries("battery ferry", said[0].text)}, 14)):
            own = own_as_many(bench, lists)["u"]
            assert [query.signals for query in own] == [
                (signal.id,) for signal in said[::-1][:searched]
            ]


def test_searched_by_both_every_system_finds_what_it_finds_in_the_table_of_all() -> None:
    said = [signal(f"zeppelin{n} hangar{n}", n) for n in range(11)]
    user = reader("u", "ferry", signal("battery ferry"), *said)
    model = cast(OnnxModel, Meanings())
    lists = {"mine": {"u": queries("sourdough")}}
    done = evaluate_systems(small_set(user, BEN), lists, encoder=model)
    table = {(system.name, system.reading): system.measured for system in done.systems}
    assert table["own signals", "L"]["recall@50"][0] == 1.0, "the oldest of twelve finds it"
    assert len(done.searched) == 7
    for searched in done.searched:
        for measure, values in table[searched.name, searched.reading].items():
            np.testing.assert_array_equal(searched.by["both"][measure], values)


def test_the_same_set_gives_the_same_figures() -> None:
    first, again = (evaluate_systems(small_set(ANNA, BEN), {}) for _ in range(2))
    for system, other in zip(first.systems, again.systems, strict=True):
        assert {k: v.tolist() for k, v in system.measured.items()} == {
            k: v.tolist() for k, v in other.measured.items()
        }
