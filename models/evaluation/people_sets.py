"""Evaluation sets of the people that the project wrote, and of what judges said for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.evaluation.sets import EvaluationSet, EvaluationUser, PrintedAfter
from models.people.records import Judgement, Person
from models.people.signals import signals_of
from service.errors import InvalidInput
from service.records import Article


@dataclass(frozen=True, slots=True)
class Grades:
    """What was judged for one person."""

    of: Mapping[str, int]
    """The grade of every article that was judged, by its id."""
    interest: Mapping[str, int]
    """The number of the interest that an article serves, where it serves one."""


@dataclass(frozen=True, slots=True)
class JudgedPeople:
    """People as an evaluation set, and what judges said for them."""

    data: EvaluationSet
    """Relevant are the articles graded 1 or 2."""
    people: Mapping[str, Person]
    """By id."""
    grades: Mapping[str, Grades]
    """By the person's id."""
    unjudged: tuple[str, ...]
    """Those who are left out, for whom no article is relevant."""


def people_set(
    people: Sequence[Person],
    judgements: Sequence[Judgement],
    articles: Sequence[Article],
    split: str,
) -> JudgedPeople:
    """People over the articles from after their now.

    Raises `InvalidInput` where an article that was clicked is missing, and for nobody.
    """
    known = {article.id: article for article in articles}
    grades: dict[str, tuple[dict[str, int], dict[str, int]]] = {}
    for one in judgements:
        of, interest = grades.setdefault(one.person, ({}, {}))
        of[one.article] = one.grade
        if one.grade and one.interest:
            interest[one.article] = one.interest
    later = sorted(articles, key=lambda article: article.published_ms)
    users, unjudged = [], []
    for person in people:
        of, _ = grades.get(person.id, ({}, {}))
        relevant = frozenset(article for article, grade in of.items() if grade)
        if not relevant:
            unjudged.append(person.id)
        clicked = frozenset(trace.article for trace in person.traces if trace.article)
        users.append(
            EvaluationUser(
                id=person.id,
                signals=signals_of(person, known),
                relevant=relevant,
                exclude=clicked,
                now_ms=person.now_ms,
                live=PrintedAfter(
                    person.now_ms,
                    frozenset(
                        article.id for article in later if article.published_ms > person.now_ms
                    ),
                ),
                sources=tuple(trace.interest for trace in person.traces),
            )
        )
    if not users:
        raise InvalidInput("there are no people in this split", field="--people")
    data = EvaluationSet(
        articles=tuple(articles),
        users=tuple(users),
        now_ms=later[-1].published_ms if later else 0,
        newest=tuple(article.id for article in reversed(later)),
        simulated=True,
        about={
            "source": "people that the project wrote (models/people)",
            "split": split,
            "people": len(users),
            "judgements": len(judgements),
            "left out, with nothing relevant": len(unjudged),
            "articles": len(articles),
        },
    )
    return JudgedPeople(
        data,
        {person.id: person for person in people},
        {person: Grades(of, interest) for person, (of, interest) in grades.items()},
        tuple(unjudged),
    )
