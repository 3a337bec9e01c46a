"""Systems on the people that the project wrote: what each finds, and what judges said of it.

All search the same articles by words and by meaning and are merged by the same fusion, without
freshness: a person's page is filled from all that the paper printed after their now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.evaluation import baselines
from models.evaluation.bench import Bench, SearchedBy
from models.evaluation.evaluate import Lists, as_served
from models.evaluation.measures import graded_ndcg_at, precision_at, recall_at
from models.evaluation.people_sets import JudgedPeople
from models.evaluation.sets import EvaluationUser
from models.people.checking import cold, without_news
from models.people.records import Person
from models.progress import Stage, no_stage
from service.defaults import MAX_QUERIES, OWN_SIGNALS, OWN_WEIGHT
from service.encoding.onnx import OnnxModel
from service.records import Query
from service.retrieval.fusion import FusionSettings
from service.words.text import stems

Floats = NDArray[np.float64]
Reading = Literal["L", "S"]

OWN = (OWN_SIGNALS, 20, None)
"""How many own signals the baselines search; None: all."""
EDITOR = "editor"
SEEN = 20
"""Places in which an interest has to be found to count as covered."""
MEASURES = ("ndcg@10", "ndcg@20", "p@10", "recall@50", "covered", "judged@10", "searches")
_OF_LISTS = ("queries", "echoes", "says the editor's", "is the editor's")


@dataclass(frozen=True, slots=True)
class Served:
    """One system in one reading, as it was measured."""

    name: str
    reading: Reading
    searched_by: SearchedBy
    measured: Mapping[str, Floats]
    """By measure one value a person, in the set's order."""
    rankings: Mapping[str, Sequence[str]]
    """By person what they were shown."""
    student: bool = False

    @property
    def label(self) -> str:
        """What tables call it."""
        how = "" if self.searched_by == "both" else f", by {self.searched_by}"
        return f"{self.name} ({self.reading}{how})"


@dataclass(frozen=True, slots=True)
class PeopleEvaluation:
    """All that was measured."""

    judged: JudgedPeople
    systems: tuple[Served, ...]
    lists: Mapping[str, Lists]
    of_lists: Mapping[str, Mapping[str, Floats]]
    """What is seen in lists of queries, by system and figure one value a person with a list."""

    @property
    def segments(self) -> dict[str, NDArray[np.bool_]]:
        """Who is in which segment, in the set's order."""
        people = [self.judged.people[user.id] for user in self.judged.data.users]
        of: dict[str, Callable[[Person], bool]] = {
            "everybody": lambda person: True,
            "no news click": without_news,
            "news clicks": lambda person: not without_news(person),
            "cold": cold,
            "four signals and more": lambda person: not cold(person),
            "mostly searches": lambda person: _share(person, "search") > 1 / 2,
            "mostly other domains": lambda person: _share(person, "search") <= 1 / 2,
        }
        return {name: np.array([among(each) for each in people]) for name, among in of.items()}


def editor_lists(judged: JudgedPeople) -> dict[str, tuple[Query, ...]]:
    """The queries that a good editor would type: what is to be had, and no system."""
    return {
        person.id: tuple(Query(interest.query) for interest in person.interests)
        for person in judged.people.values()
    }


def evaluate_people(
    judged: JudgedPeople,
    students: Mapping[str, Lists],
    stage: Stage = no_stage,
    *,
    own_weight: float = OWN_WEIGHT,
    encoder: OnnxModel | None = None,
) -> PeopleEvaluation:
    """Index the articles, measure the baselines, the editor's queries and the students' lists.

    Raises what loading an index raises.
    """
    data = judged.data
    indexed = stage("articles indexed" + (" and encoded" if encoder else ""), len(data.articles))
    settings = replace(FusionSettings(), freshness_weight=0.0)
    with Bench(
        data, settings=settings, own_weight=own_weight, encoder=encoder, progress=indexed
    ) as bench:
        made = baselines.baseline_lists(data)
        lists: dict[str, Lists] = {
            "tf-idf": made["tf-idf"],
            "heuristic": made["heuristic"],
            **students,
            EDITOR: editor_lists(judged),
        }
        systems = list(_without_lists(bench, judged, made["all signals"], stage))
        for name, written in lists.items():
            tell = stage(name, len(data.users))
            # What an editor types is searched in every way: it says which search does it justice.
            ways: Sequence[SearchedBy] = ("both",)
            if name == EDITOR and bench.by_meaning:
                ways = ("both", "words", "meaning")
            for way in ways:
                for reading in _readings(way):
                    served = _served(bench, judged, name, reading, written, way)
                    systems.append(replace(served, student=name in students))
            tell(len(data.users))
        return PeopleEvaluation(judged, tuple(systems), lists, dict(_seen(judged, lists, encoder)))


def _readings(way: SearchedBy) -> tuple[Reading, ...]:
    return ("L", "S") if way == "both" else ("L",)


def _without_lists(
    bench: Bench, judged: JudgedPeople, all_in_one: Lists, stage: Stage
) -> Iterator[Served]:
    users = bench.data.users
    ways: tuple[SearchedBy, ...] = ("words", "meaning") if bench.by_meaning else ()
    tell = stage("without a list", (len(OWN) + len(ways) + 2) * len(users))

    def own(most: int | None) -> Lists:
        return {
            user.id: baselines.own_signals(user.signals, most or len(user.signals))
            for user in users
        }

    ranked = {user.id: bench.recent(user).ids for user in users}
    yield Served("newest articles", "L", "both", _measured(judged, ranked, {}), ranked)
    tell(len(users))
    for most in OWN:
        name = f"own signals, {most or 'all'}"
        yield _served(bench, judged, name, "L", own(most), "both", most=None)
        tell(len(users))
    for way in ways:
        name = f"own signals, {OWN_SIGNALS}"
        yield _served(bench, judged, name, "L", own(OWN_SIGNALS), way, most=None)
        tell(len(users))
    yield _served(bench, judged, "all signals in one", "L", all_in_one, "both", hits=bench.limit)
    tell(len(users))


def _served(
    bench: Bench,
    judged: JudgedPeople,
    name: str,
    reading: Reading,
    lists: Lists,
    way: SearchedBy,
    *,
    most: int | None = MAX_QUERIES,
    hits: int | None = None,
) -> Served:
    rankings: dict[str, Sequence[str]] = {}
    searches: dict[str, int] = {}
    before = bench.searched_by
    bench.searched_by = way
    try:
        for user in bench.data.users:
            queries = tuple(lists.get(user.id, ()))[:most]
            if reading == "S":
                queries = as_served(bench, user, queries)
            searches[user.id] = len(queries)
            rankings[user.id] = bench.rank(user, queries, hits=hits).ids
    finally:
        bench.searched_by = before
    return Served(name, reading, way, _measured(judged, rankings, searches), rankings)


def _measured(
    judged: JudgedPeople, rankings: Mapping[str, Sequence[str]], searches: Mapping[str, int]
) -> dict[str, Floats]:
    rows = [_row(judged, user, rankings[user.id]) for user in judged.data.users]
    found = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    counts = [float(searches.get(user.id, 0)) for user in judged.data.users]
    return {**found, "searches": np.array(counts)}


def _row(judged: JudgedPeople, user: EvaluationUser, ranked: Sequence[str]) -> dict[str, float]:
    """One person's measures; NaN where nothing is relevant to them."""
    if not user.relevant:
        return dict.fromkeys(MEASURES[:-1], float("nan"))
    grades = judged.grades[user.id]
    reachable = set(grades.interest.values())
    reached = {grades.interest[id_] for id_ in ranked[:SEEN] if id_ in grades.interest}
    return {
        "ndcg@10": graded_ndcg_at(ranked, grades.of, 10),
        "ndcg@20": graded_ndcg_at(ranked, grades.of, 20),
        "p@10": precision_at(ranked, user.relevant, 10),
        "recall@50": recall_at(ranked, user.relevant, 50),
        "covered": len(reached) / len(reachable) if reachable else float("nan"),
        "judged@10": sum(id_ in grades.of for id_ in ranked[:10]) / max(1, len(ranked[:10])),
    }


def _seen(
    judged: JudgedPeople, lists: Mapping[str, Lists], encoder: OnnxModel | None
) -> Iterator[tuple[str, dict[str, Floats]]]:
    """Figures of the lists themselves, over the people who have one.

    - queries: how many.
    - echoes: share of the queries all of whose words stand in one signal.
    - says the editor's: by meaning, how near the nearest of the list comes to each of the editor's
      queries (cosine, mean).
    - is the editor's: the other way round, for each query of the list.
    """
    editor = editor_lists(judged)
    for name, written in lists.items():
        rows: list[dict[str, float]] = []
        for user in judged.data.users:
            queries = [query.text for query in written.get(user.id, ())][:MAX_QUERIES]
            if not queries:
                continue
            said = [stems(signal.text) for signal in user.signals]
            echoes = sum(any(stems(text) <= own for own in said) for text in queries)
            row = {"queries": float(len(queries)), "echoes": echoes / len(queries)}
            if encoder is not None:
                wanted = encoder.encode([query.text for query in editor[user.id]], "query")
                near = wanted @ encoder.encode(queries, "query").T
                row["says the editor's"] = float(near.max(axis=1).mean())
                row["is the editor's"] = float(near.max(axis=0).mean())
            rows.append(row)
        if rows:
            yield name, {key: np.array([row[key] for row in rows]) for key in rows[0]}


def _share(person: Person, domain: str) -> float:
    return sum(trace.domain == domain for trace in person.traces) / len(person.traces)
