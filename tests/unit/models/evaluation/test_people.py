"""Systems on written people: who finds what, and what judges said of it."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from models.evaluation.people import EDITOR, MEASURES, PeopleEvaluation, Served, evaluate_people
from models.evaluation.people_sets import JudgedPeople, people_set
from models.people.records import Judgement
from service.encoding.onnx import OnnxModel
from service.errors import InvalidInput
from tests.unit.models.builders import queries, stories
from tests.unit.models.evaluation.test_bench import Meanings
from tests.unit.models.people.builders import judgement, person, trace

ADA = person(
    "ada",
    trace("loaf tin", 1, domain="purchase"),
    trace("crossing a fjord", 0),
    trace("post office hours"),
    trace("rye flour", 1),
    queries=("battery ferry", "sourdough bread"),
)
BO = person("bo", trace("", 0, article="chess-1"), queries=("chess champion",))
JUDGED = (
    judgement("ada", "ferry+1", 2, 1),
    judgement("ada", "ferry+2", 1, 1),
    judgement("ada", "bread+1", 1, 2),
    judgement("ada", "chess+1", 0),
    judgement("bo", "chess+1", 2),
    judgement("bo", "chess+2", 2),
)


def judged(*judgements: Judgement) -> JudgedPeople:
    return people_set((ADA, BO), judgements, stories(), "test")


def evaluated(encoder: OnnxModel | None = None) -> PeopleEvaluation:
    lists = {"mine": {"ada": queries("fjord crossing", "zeppelin"), "bo": queries("zeppelin")}}
    return evaluate_people(judged(*JUDGED), lists, encoder=encoder)


def of(done: PeopleEvaluation, name: str, reading: str = "L") -> Served:
    return next(one for one in done.systems if (one.name, one.reading) == (name, reading))


def test_candidates_are_the_articles_from_after_a_persons_now() -> None:
    done = evaluated()
    for served in done.systems:
        for ranked in served.rankings.values():
            assert all("+" in id_ for id_ in ranked)
    assert set(of(done, "newest articles").rankings["ada"]) == {
        f"{story}+{day}" for story in ("ferry", "chess", "bread") for day in (1, 2)
    }


def test_the_editors_queries_find_what_was_judged_relevant_and_cover_all_interests() -> None:
    found = of(evaluated(), EDITOR).measured
    assert found["covered"].tolist() == [1, 1]
    assert found["ndcg@20"][1] == pytest.approx(1)
    assert found["searches"].tolist() == [2, 1]
    assert found["judged@10"][0] == pytest.approx(3 / 4)


def test_a_list_that_finds_nothing_measures_nothing_and_beside_own_signals_what_they_find() -> None:
    done = evaluated()
    assert of(done, "mine").measured["ndcg@20"][1] == 0
    own = of(done, "own signals, 12").measured
    for name in ("ndcg@20", "p@10", "covered"):
        assert of(done, "mine", "S").measured[name][1] == own[name][1]


def test_every_system_has_every_measure_of_everybody() -> None:
    done = evaluated()
    for served in done.systems:
        assert set(served.measured) == set(MEASURES)
        assert all(len(values) == 2 for values in served.measured.values())
    assert [one.reading for one in done.systems if one.student] == ["L", "S"]


def test_a_person_for_whom_nothing_is_relevant_counts_in_no_mean() -> None:
    alone = judged(*(one for one in JUDGED if one.person == "ada"))
    done = evaluate_people(alone, {})
    assert alone.unjudged == ("bo",)
    assert np.isnan(of(done, EDITOR).measured["ndcg@20"]).tolist() == [False, True]


def test_segments_are_told_from_signals() -> None:
    found = {name: among.tolist() for name, among in evaluated().segments.items()}
    assert found["no news click"] == [True, False]
    assert found["cold"] == [False, True]
    assert found["mostly searches"] == [True, False]


def test_an_echo_is_a_query_whose_words_all_stand_in_one_signal() -> None:
    assert evaluated().of_lists["mine"]["echoes"].tolist() == [0.5, 0.0]


def test_with_an_encoder_nearness_to_the_editors_queries_goes_both_ways() -> None:
    """For this encoder all that is not about sourdough is alike: ada's list says one of two."""
    done = evaluated(cast(OnnxModel, Meanings()))
    found = done.of_lists["mine"]
    assert found["says the editor's"].tolist() == [0.5, 1]
    assert found["is the editor's"].tolist() == [1, 1]
    ways = {one.searched_by for one in done.systems if one.name == EDITOR}
    assert ways == {"both", "words", "meaning"}


def test_a_split_of_nobody_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no people"):
        people_set((), (), stories(), "test")
