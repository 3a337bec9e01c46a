"""The people, threads and judgements that are shipped hold what their data card says."""

from __future__ import annotations

import pytest

from models.people.agreement import graded_twice, kappa
from models.people.checking import (
    judgement_problems,
    people_problems,
    query_problems,
    thread_problems,
)
from models.people.reading import (
    people_file,
    qrels_file,
    read_people,
    read_qrels,
    read_threads,
    threads_file,
)
from models.people.records import JUDGED, SPLITS, Person, Split
from models.people.signals import signals_of
from service.records import Article

FAR_MS = 253_402_300_000_000
LEAST: dict[Split, int] = {"train": 290, "tune": 79, "test": 120}


@pytest.fixture(scope="module")
def splits() -> dict[Split, tuple[Person, ...]]:
    return {split: read_people(people_file(split)) for split in SPLITS}


def clicked(people: tuple[Person, ...]) -> dict[str, Article]:
    """The articles that people clicked. They are not in this repository, and neither are dates."""
    ids = {trace.article for person in people for trace in person.traces if trace.article}
    return {id_: Article(id_, "a title", published_ms=0) for id_ in ids}


def test_there_are_as_many_people_as_the_card_says(
    splits: dict[Split, tuple[Person, ...]],
) -> None:
    assert all(len(splits[split]) >= least for split, least in LEAST.items())


def test_shares_ids_dates_and_leaks_are_as_they_should_be(
    splits: dict[Split, tuple[Person, ...]],
) -> None:
    everybody = tuple(person for people in splits.values() for person in people)
    assert list(people_problems(splits, clicked(everybody))) == []
    assert list(thread_problems(read_threads(threads_file()), splits)) == []


@pytest.mark.parametrize("split", JUDGED)
def test_everybody_who_is_to_be_judged_is_and_judges_agree(
    split: Split, splits: dict[Split, tuple[Person, ...]]
) -> None:
    first, again = (read_qrels(qrels_file(split, again=twice)) for twice in (False, True))
    known = {
        one.article: Article(one.article, "t", published_ms=FAR_MS) for one in (*first, *again)
    }
    assert list(judgement_problems(split, splits[split], first, again, known)) == []
    assert kappa(graded_twice(first, again)) > 0.8
    for twice in (False, True):
        queries = read_qrels(qrels_file(split, again=twice, queries=True))
        assert list(query_problems(split, splits[split], queries, again=twice)) == []


def test_nothing_of_a_portrait_is_in_what_a_prompt_shows(
    splits: dict[Split, tuple[Person, ...]],
) -> None:
    """Six words in a row would be more than chance."""
    for people in splits.values():
        titles = clicked(people)
        for person in people:
            said = " ".join(signal.text.lower() for signal in signals_of(person, titles))
            words = person.portrait.lower().split()
            for place in range(len(words) - 5):
                assert " ".join(words[place : place + 6]) not in said
