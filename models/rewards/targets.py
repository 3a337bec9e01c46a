"""What it would be good to find for a user: from judges, or from an editor's queries.

Only people who are tuned on or tested have judgements. For those who train, what the search finds
for the query that a good editor would type stands in their place: on tune people, who have both,
`python -m models.studies.rewards` says how far the two agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from models.evaluation.people_sets import JudgedPeople
from models.evaluation.sets import EvaluationUser
from models.people.views import Seen
from models.rewards.outcomes import Outcomes
from models.rewards.records import SEEN, Target
from service.defaults import OWN_SIGNALS
from service.errors import InvalidInput
from service.generation.own import own_queries
from service.records import Query

SQUARELY, RELATED = 10, 30
"""Places up to which what an editor's query finds is graded 2, and 1."""


def judged_targets(judged: JudgedPeople, outcomes: Outcomes) -> Iterator[Target]:
    """People with what judges said, those for whom something is relevant.

    Raises `InvalidInput` where that is nobody.
    """
    some = False
    for user in judged.data.users:
        if user.relevant:
            some = True
            grades = judged.grades[user.id]
            yield Target(
                user=user,
                grades={id_: grade for id_, grade in grades.of.items() if grade},
                interest=grades.interest,
                own=_own(user, outcomes),
            )
    if not some:
        raise InvalidInput(
            "no article is judged to be for any of these people: there is nothing to reward by",
            field="people",
        )


def taught_target(seen: Seen, outcomes: Outcomes) -> Target:
    """Somebody as they are seen once, with what the editor's queries for their interests find."""
    user = EvaluationUser(
        id=seen.id,
        signals=seen.signals,
        relevant=frozenset(),
        exclude=frozenset(signal.item for signal in seen.signals if signal.item),
        now_ms=seen.signals[-1].at_ms,
        sources=seen.sources,
    )
    grades, interest = _graded([one.query for one in seen.interests], user, outcomes)
    return Target(user, grades, interest, _own(user, outcomes))


def _graded(
    queries: Sequence[str], user: EvaluationUser, outcomes: Outcomes
) -> tuple[dict[str, int], dict[str, int]]:
    """Grade and interest of what the queries find; an article serves the one that ranks it best."""
    best: dict[str, tuple[int, int]] = {}
    for number, text in enumerate(queries, 1):
        ranked = outcomes.page(user, [outcomes.run(user, Query(text))], RELATED)
        for place, id_ in enumerate(ranked):
            best[id_] = min(best.get(id_, (RELATED, 0)), (place, number))
    grades = {id_: 2 if place < SQUARELY else 1 for id_, (place, _) in best.items()}
    return grades, {id_: number for id_, (_, number) in best.items()}


def _own(user: EvaluationUser, outcomes: Outcomes) -> frozenset[str]:
    runs = [outcomes.run(user, query) for query in own_queries(user.signals, OWN_SIGNALS, 1.0)]
    return frozenset(outcomes.page(user, runs, SEEN))
