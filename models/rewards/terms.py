"""The rewards, each a pure function of a user and of what a list found for them, 0 to 1.

`None` means that this reward cannot be told here, which is not a zero: trainers leave it out. A
list without a query gets 0 of every reward, in `scoring`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

from models.evaluation.measures import graded_ndcg_at
from models.rewards.records import SEEN, Outcome, Target
from service.generation.queries import DUPLICATE
from service.words.text import stems

SHORTEST, LONGEST = 2, 8
"""Words of a query as headlines speak."""
MADE_UP = 0.2
"""Cosine to every signal below which nothing the user did supports a query."""


def relevance(target: Target, outcome: Outcome) -> float | None:
    """Graded, rank-weighted: nDCG of the page that the list fills. What all of it is for."""
    if not target.grades:
        return None
    return graded_ndcg_at(outcome.ranked, target.grades, SEEN)


def coverage(target: Target, outcome: Outcome) -> float | None:
    """Share of the user's interests with an article on the page.

    Relevance alone is had by the largest interest.
    """
    reachable = set(target.interest.values())
    if not reachable:
        return None
    reached = {target.interest[id_] for id_ in outcome.ranked[:SEEN] if id_ in target.interest}
    return len(reached) / len(reachable)


def diversity(target: Target, outcome: Outcome) -> float | None:
    """One less the articles that two queries have in common, on average over the pairs.

    A second query for the same articles costs a search and brings nothing. Of one query it cannot
    be told.
    """
    pairs = list(combinations(map(frozenset, outcome.found), 2))
    if not pairs:
        return None
    same = [len(a & b) / (min(len(a), len(b)) or 1) for a, b in pairs]
    return 1 - sum(same) / len(same)


def specificity(target: Target, outcome: Outcome) -> float | None:
    """How far the scores of what a query finds fall, on average: neither everything nor nothing.

    "News" is as near to its first article as to its fiftieth; words that the index does not know
    find nothing, which counts 0. After the normalised query commitment of Shtok et al. (ACM TOIS
    30(2), 2012), a predictor of a query's quality that needs no judgement.
    """
    return sum(outcome.drop) / len(outcome.drop) if outcome.drop else 0.0


def beyond(target: Target, outcome: Outcome) -> float | None:
    """nDCG over what the user's own words do not find: a list that repeats them is not needed.

    Where own words find all that is relevant it cannot be told.
    """
    others = {id_: grade for id_, grade in target.grades.items() if id_ not in target.own}
    if not others:
        return None
    kept = [id_ for id_ in outcome.ranked if id_ not in target.own or id_ not in target.grades]
    return graded_ndcg_at(kept, others, SEEN)


def grounding(target: Target, outcome: Outcome) -> float | None:
    """Share of the queries whose nearest signal is of an interest: none out of an errand or of air.

    The service serves what a student makes up as readily as the rest.
    """
    if not outcome.nearest or not any(source is not None for source in target.user.sources):
        return None
    sources = target.user.sources
    sound = [cosine >= MADE_UP and sources[place] is not None for place, cosine in outcome.nearest]
    return sum(sound) / len(sound)


def form(target: Target, outcome: Outcome) -> float | None:
    """Share of the lines that are read as the query they are, halved for an answer that was cut.

    Decoration, prose and repetition cost tokens, and the reader of answers throws them away.
    """
    lines = [line.strip() for line in outcome.text.splitlines() if line.strip()]
    if not lines:
        return 0.0
    read = {query.text for query in outcome.queries}
    read |= {query.said for query in outcome.queries if query.said}
    kept, seen = 0, list[frozenset[str]]()
    for line in lines:
        keys = stems(line)
        again = any(len(keys & one) >= DUPLICATE * len(keys | one) for one in seen)
        kept += not again and (line in read or line.startswith("#"))
        seen.append(keys)
    return kept / len(lines) * (1.0 if outcome.finished else 0.5)


def brevity(target: Target, outcome: Outcome) -> float | None:
    """Share of the queries of two to eight words, less where there are more than interests and one.

    Every token is time at the engine, every query a search.
    """
    if not outcome.queries:
        return 0.0
    short = sum(SHORTEST <= len(query.text.split()) <= LONGEST for query in outcome.queries) / len(
        outcome.queries
    )
    wanted = max(1, target.interests) + 1
    return short * min(1.0, wanted / len(outcome.queries))


@dataclass(frozen=True, slots=True)
class Reward:
    """One of the rewards: how it is reckoned, and what it weighs where nothing else is said."""

    name: str
    term: Callable[[Target, Outcome], float | None]
    weight: float

    @property
    def reason(self) -> str:
        """What it is, in a line."""
        return (self.term.__doc__ or "").partition("\n")[0]


REWARDS: Mapping[str, Reward] = MappingProxyType(
    {
        reward.name: reward
        for reward in (
            Reward("relevance", relevance, 1.0),
            Reward("coverage", coverage, 0.5),
            Reward("diversity", diversity, 0.25),
            Reward("specificity", specificity, 0.25),
            Reward("beyond", beyond, 0.25),
            Reward("grounding", grounding, 0.5),
            Reward("form", form, 0.25),
            Reward("brevity", brevity, 0.25),
        )
    }
)
"""By name, in the order in which tables show them."""
