"""Answers searched and merged by the serving code, and what it would have been good to find."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from models.evaluation.bench import Bench
from models.evaluation.people_sets import people_set
from models.evaluation.sets import EvaluationUser
from models.people.views import as_written
from models.rewards.outcomes import Outcomes, drop
from models.rewards.records import Target
from models.rewards.targets import judged_targets, taught_target
from models.rewards.terms import relevance
from service.errors import InvalidInput
from service.records import Query, Run
from tests.unit.models.builders import reader, signal, small_set
from tests.unit.models.people.builders import articles, judgement, person, trace

BEN = reader("ben", "bread", signal("sourdough", 0))
ADA = person("ada", trace("fjord", 0), trace("dentist"), queries=("battery ferry",))


def wanting_bread(user: EvaluationUser) -> Target:
    return Target(user, dict.fromkeys(user.relevant, 2), {}, frozenset())


@pytest.fixture
def outcomes() -> Iterator[Outcomes]:
    with Bench(small_set(BEN)) as bench:
        yield Outcomes(bench)


def test_an_answer_is_searched_and_merged_as_it_would_be_served(outcomes: Outcomes) -> None:
    ben = wanting_bread(BEN)
    found = outcomes.of(ben, BEN.signals, "bakers revive\nchess champion", finished=True)
    assert [query.text for query in found.queries] == ["bakers revive", "chess champion"]
    bread, chess = found.found
    assert {id_.split("+")[0].split("-")[0] for id_ in bread} == {"bread"}
    assert set(found.ranked) == {*bread, *chess}
    assert found.nearest == ()


def test_what_was_clicked_before_is_not_found_again(outcomes: Outcomes) -> None:
    seen = replace(BEN, exclude=frozenset({"bread+1"}))
    ben = wanting_bread(seen)
    assert "bread+1" not in outcomes.of(ben, (), "sourdough bread", finished=True).ranked


def test_a_query_is_searched_once_for_everybody(
    outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ben = wanting_bread(BEN)
    first = outcomes.of(ben, (), "chess champion", finished=True)
    monkeypatch.setattr(outcomes.bench, "search", None)
    assert outcomes.of(ben, (), "chess champion", finished=True).ranked == first.ranked


def test_an_editors_query_grades_what_it_finds_for_the_interest_it_is_of(
    outcomes: Outcomes,
) -> None:
    ada = taught_target(as_written(ADA, articles()), outcomes)
    assert {id_.split("+")[0].split("-")[0] for id_ in ada.grades} == {"ferry"}
    assert set(ada.interest.values()) == {1}
    assert ada.interests == 1
    good, bad = (
        relevance(ada, outcomes.of(ada, (), text, finished=True))
        for text in ("battery ferry", "chess")
    )
    assert good == 1.0
    assert bad == 0.0


def test_judges_grades_are_what_they_said_and_nobody_is_made_up(outcomes: Outcomes) -> None:
    said = [judgement("ada", "ferry+1", 2), judgement("ada", "chess+1", 0)]
    judged = people_set([ADA], said, list(articles().values()), "tune")
    (ada,) = judged_targets(judged, outcomes)
    assert (dict(ada.grades), dict(ada.interest)) == ({"ferry+1": 2}, {"ferry+1": 1})
    assert ada.user.live is not None  # the paper printed after their now
    with pytest.raises(InvalidInput, match="nothing to reward by"):
        list(judged_targets(people_set([ADA], [], list(articles().values()), "tune"), outcomes))


def test_scores_that_do_not_fall_are_of_a_query_for_everything(outcomes: Outcomes) -> None:
    (run,) = [outcomes.run(BEN, Query("bread"))]
    many = tuple(run.hits) * 5
    level = Run(run.query, tuple(replace(hit, score=1.0) for hit in many))
    falling = Run(run.query, tuple(replace(hit, score=1 / (1 + i)) for i, hit in enumerate(many)))
    assert drop(level) == 0.0
    assert drop(falling) > 0.9
    assert drop(Run(run.query, ())) == 0.0
    assert drop(run) == 1.0  # four articles, where fifty were asked for


def test_own_words_are_searched_as_they_are_served(outcomes: Outcomes) -> None:
    ada = taught_target(as_written(ADA, articles()), outcomes)
    assert {id_.split("+")[0].split("-")[0] for id_ in ada.own} == {"ferry"}
