"""What has to hold of all people together, and of their judgements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from models.people.checking import (
    judgement_problems,
    near_problems,
    people_problems,
    query_problems,
    shares,
    thread_problems,
)
from models.people.records import Judgement, Person, Split, Thread
from service.records import Vectors
from tests.unit.models.people.builders import articles, judgement, person, trace

ADA = person("ada", trace("fjord1", 0))


def crowd(name: str, query: str) -> list[Person]:
    """A split that is as it should be: half are cold, none clicks news, a quarter is noise."""
    warm = [trace(f"{query} {n}", None if n % 4 == 0 else 0) for n in range(8)]
    return [
        person(f"{name}1", trace(query, 0), queries=(query,)),
        person(f"{name}2", *warm, queries=(query,)),
    ]


def splits() -> dict[Split, list[Person]]:
    return {
        "train": crowd("t", "sourdough baking"),
        "tune": crowd("u", "chess finals"),
        "test": crowd("v", "electric ferries"),
    }


def test_a_benchmark_that_is_as_it_should_be_has_no_problem() -> None:
    assert list(people_problems(splits(), articles())) == []


def test_shares_are_counted() -> None:
    found = shares(crowd("t", "sourdough baking"))
    assert (found.people, found.interests, found.traces) == (2, 2, 9)
    assert (found.without_news, found.cold, found.noise) == (1.0, 0.5, 0.25)


@pytest.mark.parametrize(
    ("traces", "queries", "said"),
    [
        ([trace("", 0, article="nosuch")], ("electric ferries",), "no article has the id nosuch"),
        (
            [trace("", 0, article="ferry-1", days=-1.5)],
            ("electric ferries",),
            "ferry-1 was published after the click",
        ),
        ([trace("fjord1", 0)], ("electric ferries", "knitting needles"), "no signal stems from"),
        ([trace("fjord1", 0)], ("ferries",), "'ferries' has not 2 to 8 words"),
    ],
)
def test_what_is_wrong_with_a_person_is_said_with_their_line(
    traces: list[object], queries: tuple[str, ...], said: str
) -> None:
    bad = replace(person("bo", *traces, queries=queries), line=9)  # type: ignore[arg-type]
    made = splits()
    made["test"].append(bad)
    problems = [one for one in people_problems(made, articles()) if ":9:" in one]
    assert len(problems) == 1
    assert problems[0].startswith("test.jsonl:9: ")
    assert said in problems[0]


def test_a_split_with_too_few_cold_people_too_many_readers_or_too_little_noise_is_told_so() -> None:
    eager = [trace(f"ferry {n}", 0) for n in range(8)]
    reading = person("bo", *eager, trace("", 0, article="ferry-2"))
    made = splits() | {"test": [reading]}
    said = "\n".join(people_problems(made, articles()))
    assert "test.jsonl: 0% of the people have no news click" in said
    assert "test.jsonl: 0% of the people have one to three signals" in said
    assert "test.jsonl: 0% of the signals are noise" in said


def test_an_interest_of_a_judged_split_may_not_be_one_of_training() -> None:
    made = splits()
    made["train"].append(person("spy", trace("x", 0), queries=("Electric ferry",)))
    [problem] = people_problems(made, articles())
    assert "is an interest of v1 in test.jsonl" in problem


def test_nobody_is_in_two_splits() -> None:
    made = splits()
    made["train"].append(person("v1", trace("x", 0), queries=("winter tyres",)))
    [problem] = people_problems(made, articles())
    assert problem == "train.jsonl:1: id: v1 is in test.jsonl too; give another id"


def problems(*judged: Judgement, again: tuple[Judgement, ...] | None = None) -> list[str]:
    twice = judged if again is None else again
    return list(judgement_problems("test", [ADA], judged, twice, articles()))


def test_good_judgements_have_no_problem() -> None:
    assert problems(judgement("ada", "ferry+1", 2)) == []


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (judgement("bo", "ferry+1", 2), "nobody in test.jsonl has this id"),
        (judgement("ada", "nosuch", 1), "no article has this id"),
        (judgement("ada", "ferry-1", 1), "is from before the person's now"),
        (judgement("ada", "ferry+2", 1, interest=2), "they have 1 interests, not 2"),
    ],
)
def test_what_is_wrong_with_a_judgement_is_said_with_its_line(bad: Judgement, said: str) -> None:
    [problem] = problems(
        judgement("ada", "ferry+1", 1), bad, again=(judgement("ada", "ferry+1", 1),)
    )
    assert problem.startswith("test.qrels:2: ")
    assert said in problem


def test_who_is_not_judged_and_what_is_judged_only_once_is_said() -> None:
    assert problems(again=()) == ["test.qrels: ada has no judgement; judge their pool"]
    [problem] = problems(judgement("ada", "ferry+1", 1), again=())
    assert "0 of 1 are judged twice; at least 15% have to be" in problem


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (judgement("bo", "query-1", 2), "nobody in test.jsonl is bo"),
        (judgement("ada", "query-2", 2, interest=2), "ada has 1 interests"),
        (judgement("ada", "query-2", 2), "query-2 has to be query-1"),
    ],
)
def test_what_is_wrong_with_a_judged_query_is_said_with_its_line(bad: Judgement, said: str) -> None:
    good = judgement("ada", "query-1", 1)
    [problem] = query_problems("test", [ADA], [good, bad], again=True)
    assert problem.startswith("test.queries.again.qrels:2: ")
    assert said in problem


def test_a_thread_gives_away_nothing_of_those_who_are_judged() -> None:
    def problems_of(*texts: str) -> list[str]:
        threads = [Thread(text, (("search", "x"),), n) for n, text in enumerate(texts, 1)]
        return list(thread_problems(threads, splits()))

    assert problems_of("sourdough baking", "rye bread") == []
    [problem] = problems_of("Electric ferry")
    assert "in test.jsonl; remove the thread" in problem
    [problem] = problems_of("rye bread", "bread rye")
    assert problem.startswith("threads.jsonl:2: query: ")
    [problem] = problems_of("bread")
    assert "has not 2 to 8 words" in problem


def test_an_interest_in_other_words_is_found_by_meaning() -> None:
    def encode(texts: Sequence[str]) -> Vectors:
        """Boats of all kinds are alike."""
        boats = [any(word in text for word in ("ferr", "boat")) for text in texts]
        return np.array([[1, 0] if boat else [0, 1] for boat in boats], np.float32)

    made = splits()
    assert list(near_problems({"test": made["test"]}, [], encode)) == []
    made["train"] = [person("spy", trace("x", 0), queries=("boats with batteries",))]
    threads = [Thread("rowing boats", (("search", "x"),), 7)]
    found = list(near_problems({"train": made["train"], "test": made["test"]}, threads, encode))
    assert len(found) == 2
    assert found[0].startswith(
        "train.jsonl:1: interests: 'boats with batteries' is near test.jsonl"
    )
    assert found[1].startswith("threads.jsonl:7: query: 'rowing boats' is near")
