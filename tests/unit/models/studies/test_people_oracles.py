"""What a student that made no mistake would be worth."""

from __future__ import annotations

from models.evaluation.bench import Bench
from models.evaluation.people_sets import people_set
from models.studies.people_oracles import measure
from tests.unit.models.people.builders import articles, judgement, person, trace

ADA = person(
    "ada",
    trace("crossing a fjord", 0),
    trace("chess champion loses final"),
    queries=("battery ferry",),
)
SAID = [judgement("ada", "ferry+1", 2), judgement("ada", "ferry+2", 2)]


def test_without_noise_more_is_found_and_each_way_is_measured() -> None:
    judged = people_set([ADA], SAID, list(articles().values()), "tune")
    with Bench(judged.data) as bench:
        found = measure(bench, judged)
    assert found["own signals without noise"] == [1.0]
    assert found["own signals, all"] < [1.0]
    assert found["the editor's"] == found["own signals, one query an interest"] == [1.0]
    assert {len(values) for values in found.values()} == {1}
