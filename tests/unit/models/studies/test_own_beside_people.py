"""How many own signals a list of words wants beside it."""

from __future__ import annotations

from models.evaluation.bench import Bench
from models.evaluation.people_sets import people_set
from models.studies.own_beside_people import measure, ways
from service.records import Query
from tests.unit.models.people.builders import articles, judgement, person, trace

ADA = person("ada", trace("chess champion", 0), trace("loses final"), queries=("battery ferry",))
SAID = [judgement("ada", "ferry+1", 2), judgement("ada", "ferry+2", 2)]


def test_the_list_alone_comes_first_then_every_number_at_every_weight() -> None:
    assert list(ways((0, 2), (0.2, 0.6))) == [(0, 0.0), (2, 0.2), (2, 0.6)]


def test_own_signals_that_lead_elsewhere_take_away_from_a_list() -> None:
    judged = people_set([ADA], SAID, list(articles().values()), "tune")
    lists = {"ada": (Query("battery ferry"),)}
    with Bench(judged.data) as bench:
        found = measure(bench, judged, lists, [(0, 0.0), (2, 0.1), (2, 3.0)])
    assert found[0, 0.0].tolist() == [1.0]
    assert found[2, 0.1][0] >= found[2, 3.0][0]
    assert found[2, 3.0][0] < 1.0
