"""All systems of an evaluation, measured on one set: the baselines, then the students.

After each student come two baselines cut to the length of its lists, so that it also meets what
has no more queries than it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from models.evaluation import baselines
from models.evaluation.ablation import each_search, evaluate_ways, without_each_part
from models.evaluation.baselines import BASELINES, DIRECT, LISTS_OF_EIGHT, baseline_lists
from models.evaluation.bench import Bench
from models.evaluation.evaluate import (
    Lists,
    Measured,
    Reading,
    as_served,
    evaluate_lists,
    evaluate_ranking,
)
from models.evaluation.sets import EvaluationSet
from models.progress import Progress, Stage, no_stage, untold
from service.defaults import MAX_QUERIES, OWN_WEIGHT
from service.encoding.onnx import OnnxModel
from service.records import Query


@dataclass(frozen=True, slots=True)
class System:
    """One way to rank, as measured."""

    name: str
    reading: Reading
    measured: Measured
    student: bool = False
    beside: str | None = None
    """Of a baseline cut to the length of a student's lists: that student."""
    meets: Reading = "L"
    """The reading of that student whose queries were counted."""


@dataclass(frozen=True, slots=True)
class Searched:
    """A system in one reading, by how its queries were searched."""

    name: str
    reading: Reading
    by: Mapping[str, Measured]
    student: bool = False


@dataclass(frozen=True, slots=True)
class Ablation:
    """A system's S, by the part that it was served without; "nothing": as it is served."""

    name: str
    without: Mapping[str, Measured]
    student: bool = False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that was measured on a set, with the lists it was measured on."""

    data: EvaluationSet
    systems: tuple[System, ...]
    lists: Mapping[str, Lists]
    """By the name of the system."""
    shallow: int
    """Searches cut off before they had found enough live articles."""
    searched: tuple[Searched, ...] = ()
    """Where there is an encoder: each list by words, by meaning and by both."""
    ablations: tuple[Ablation, ...] = ()
    """Of the heuristic and of each student: S without each of its parts."""


def evaluate_systems(
    data: EvaluationSet,
    students: Mapping[str, Lists],
    stage: Stage = no_stage,
    *,
    own_weight: float = OWN_WEIGHT,
    encoder: OnnxModel | None = None,
) -> Evaluation:
    """Index a set, measure the baselines and then the students' lists, by name, on it.

    After each student comes tf-idf with as many phrases for each user as its list has queries, and
    the own signals, as many as S searches queries. In S an own signal weighs `own_weight` where a
    query of the list weighs 1. With an `encoder` all are searched by meaning too. Raises as
    `evaluate_lists` does.
    """
    indexed = stage("articles indexed" + (" and encoded" if encoder else ""), len(data.articles))
    with Bench(data, own_weight=own_weight, encoder=encoder, progress=indexed) as bench:
        total = len(BASELINES) * len(data.users)
        systems, made = evaluate_baselines(bench, stage("baselines", total))
        for name, lists in students.items():
            systems += _student(bench, name, lists, made["tf-idf"], stage(name, len(data.users)))
        everything: dict[str, Lists] = {**made, **students}
        return Evaluation(
            data,
            tuple(systems),
            everything,
            bench.shallow,
            tuple(_searched(bench, everything, students, stage)) if bench.by_meaning else (),
            tuple(_ablations(bench, {"heuristic": made["heuristic"], **students}, students, stage)),
        )


def _searched(
    bench: Bench, made: Mapping[str, Lists], students: Container[str], stage: Stage
) -> Iterator[Searched]:
    """The own signals, the lists of eight and the students', alone and beside the own signals."""
    for name, lists in made.items():
        student = name in students
        if not student and name not in ("own signals", *LISTS_OF_EIGHT):
            continue
        own = name == "own signals"
        readings: tuple[Reading, ...] = ("L",) if own else ("L", "S")
        tell = stage(f"{name}: words, meaning", len(readings) * len(bench.data.users))
        for reading in readings:
            # They are longer than a list may be: what stands beside no list is all of them.
            ways = each_search(bench, beside=own or reading == "S")
            found = evaluate_ways(bench, {} if own else lists, ways, tell)
            yield Searched(name, reading, found, student)


def _ablations(
    bench: Bench, made: Mapping[str, Lists], students: Container[str], stage: Stage
) -> Iterator[Ablation]:
    for name, lists in made.items():
        tell = stage(f"{name}: part by part", len(bench.data.users))
        ways = without_each_part(bench)
        yield Ablation(name, evaluate_ways(bench, lists, ways, tell), name in students)


def evaluate_baselines(
    bench: Bench, progress: Progress = untold
) -> tuple[list[System], dict[str, dict[str, tuple[Query, ...]]]]:
    """Every baseline alone; the lists of eight also beside the own signals, as a student's are.

    In logs the own signals stand beside the popular articles as well. Returns the lists too.
    `progress` is called with 1 after each user of each of the `BASELINES`.
    """
    made = baseline_lists(bench.data)
    systems = []
    for name in BASELINES:
        if name in DIRECT:
            rank = bench.popular if name == "popularity" else bench.recent
            found: dict[Reading, Measured] = {"L": evaluate_ranking(bench, rank, progress)}
        elif name in LISTS_OF_EIGHT:
            found = evaluate_lists(bench, made[name], _readings(bench.data), progress)
        else:
            # One query alone has to fill the whole list of candidates.
            hits = bench.limit if name == "all signals" else bench.hits
            found = {"L": _evaluate_alone(bench, made[name], hits, progress)}
        if name == "own signals" and not bench.data.simulated:
            found |= evaluate_lists(bench, {}, ("P",))
        systems += [System(name, reading, measured) for reading, measured in found.items()]
    return systems, made


def as_many(phrases: Lists, lists: Lists) -> dict[str, Sequence[Query]]:
    """The first phrases of every user, as many as the user's list has queries."""
    return {user: best[: len(lists.get(user, ()))] for user, best in phrases.items()}


def own_as_many(bench: Bench, lists: Lists) -> dict[str, Sequence[Query]]:
    """The newest own signals of every user, as many as are searched when a list stands beside."""
    return {
        user.id: baselines.own_signals(
            user.signals,
            len(as_served(bench, user, tuple(lists.get(user.id, ()))[:MAX_QUERIES])),
        )
        for user in bench.data.users
    }


def _readings(data: EvaluationSet) -> tuple[Reading, ...]:
    """How a list of eight or a student's is read on this set."""
    return ("L", "S") if data.simulated else ("L", "S", "P")


def _student(
    bench: Bench, name: str, lists: Lists, phrases: Lists, progress: Progress
) -> list[System]:
    """A student in every reading, then the two baselines cut to the length of its lists."""
    found = evaluate_lists(bench, lists, _readings(bench.data), progress)
    cut = evaluate_lists(bench, as_many(phrases, lists), ("L",))["L"]
    own = evaluate_lists(bench, own_as_many(bench, lists), ("L",), most=None)["L"]
    return [
        *(System(name, reading, measured, student=True) for reading, measured in found.items()),
        System(f"tf-idf, as many as {name}", "L", cut, beside=name),
        System(f"own signals, as many as {name} (S)", "L", own, beside=name, meets="S"),
    ]


def _evaluate_alone(bench: Bench, lists: Lists, hits: int, progress: Progress) -> Measured:
    """Lists of any length, all of whose queries are searched, `hits` of each."""
    return evaluate_ranking(
        bench, lambda user: bench.rank(user, lists.get(user.id, ()), hits=hits), progress
    )
