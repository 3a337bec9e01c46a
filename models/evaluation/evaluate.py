"""How good lists of queries are: searched, merged and measured as the service would serve them.

L is a list alone, S the list beside the user's own newest signals, as served. In logs, P is S
merged with the popular articles by ranks. `evaluate_lists` measures lists from anywhere, a running
engine or a training; `evaluate_baselines` those of `models.evaluation.baselines`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.evaluation import baselines
from models.evaluation.bench import Bench, Ranked
from models.evaluation.measures import auc, mrr, ndcg_at, recall_at
from models.evaluation.sets import EvaluationSet, EvaluationUser
from models.progress import Progress, Stage, no_stage, untold
from service.defaults import MAX_QUERIES, OWN_SIGNALS, OWN_WEIGHT
from service.errors import InvalidInput
from service.generation.own import beside
from service.records import Article, Query

Reading = Literal["L", "S", "P"]
Lists = Mapping[str, Sequence[Query]]
"""Queries by user id; a user without an entry got no list."""
Measured = Mapping[str, NDArray[np.float64]]
"""One value a user and measure, in the set's order; NaN where a measure is not defined."""

MEASURES = ("recall@50", "recall@100", "ndcg@50")
LOG_MEASURES = (*MEASURES, "auc", "mrr")
DIRECT = ("popularity", "recency")
LISTS_OF_EIGHT = ("tf-idf", "heuristic")
BASELINES = (*DIRECT, "own signals", "all signals", "clicked titles", *LISTS_OF_EIGHT)


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
class Evaluation:
    """Everything that was measured on a set, with the lists it was measured on."""

    data: EvaluationSet
    systems: tuple[System, ...]
    lists: Mapping[str, Lists]
    """By the name of the system."""
    shallow: int
    """Searches cut off before they had found enough live articles."""


def evaluate(
    data: EvaluationSet,
    students: Mapping[str, Lists],
    stage: Stage = no_stage,
    *,
    own_weight: float = OWN_WEIGHT,
) -> Evaluation:
    """Index a set, measure the baselines and then the students' lists, by name, on it.

    After each student comes tf-idf with as many phrases for each user as its list has queries, and
    the own signals, as many as S searches queries. In S an own signal weighs `own_weight` where a
    query of the list weighs 1.

    `stage` is called with what begins and how many steps it has, and answers a function that is
    called with the number of steps just done. Raises as `evaluate_lists` does.
    """
    indexed = stage("articles indexed", len(data.articles))
    with Bench(data, own_weight=own_weight, progress=indexed) as bench:
        total = len(BASELINES) * len(data.users)
        systems, made = evaluate_baselines(bench, stage("baselines", total))
        readings: Sequence[Reading] = ("L", "S") if data.simulated else ("L", "S", "P")
        for name, lists in students.items():
            tell = stage(name, len(data.users))
            found = evaluate_lists(bench, lists, readings, tell)
            systems += [System(name, one, values, student=True) for one, values in found.items()]
            cut = as_many(made["tf-idf"], lists)
            alone = evaluate_lists(bench, cut, ("L",))["L"]
            systems.append(System(f"tf-idf, as many as {name}", "L", alone, beside=name))
            more = own_as_many(bench, lists)
            alone = evaluate_lists(bench, more, ("L",), most=None)["L"]
            systems.append(
                System(f"own signals, as many as {name} (S)", "L", alone, beside=name, meets="S")
            )
        return Evaluation(data, tuple(systems), {**made, **students}, bench.shallow)


def evaluate_lists(
    bench: Bench,
    lists: Lists,
    readings: Sequence[Reading] = ("L", "S"),
    progress: Progress = untold,
    *,
    most: int | None = MAX_QUERIES,
) -> dict[Reading, Measured]:
    """Measure lists in each reading. At most `most` queries of a list are searched (None: all).

    `progress` is called with 1 after each user. Raises `InvalidInput` where the lists are of other
    users, and `RetrievalError` where the index cannot be searched.
    """
    unknown = set(lists) - {one.id for one in bench.data.users}
    if unknown:
        raise InvalidInput(f"{min(unknown)!r} is no user of this set", field="lists")
    rows: dict[Reading, list[dict[str, float]]] = {reading: [] for reading in readings}
    for user in bench.data.users:
        queries = tuple(lists.get(user.id, ()))[:most]
        together = _as_served(bench, user, queries)
        for reading in readings:
            served = queries if reading == "L" else together
            ranked = bench.rank(user, served, popular=reading == "P")
            rows[reading].append(measure(bench.data, user, ranked))
        progress(1)
    return {reading: _columns(bench.data, one) for reading, one in rows.items()}


def _as_served(bench: Bench, user: EvaluationUser, queries: Sequence[Query]) -> tuple[Query, ...]:
    return beside(queries, user.signals, OWN_SIGNALS, bench.own_weight)


def evaluate_baselines(
    bench: Bench, progress: Progress = untold
) -> tuple[list[System], dict[str, dict[str, tuple[Query, ...]]]]:
    """Every baseline alone; the lists of eight also beside the own signals, as a student's are.

    In logs the own signals stand beside the popular articles as well. Returns the lists too.
    `progress` is called with 1 after each user of each of the `BASELINES`.
    """
    logged = not bench.data.simulated
    made = baseline_lists(bench.data)
    systems = []
    for name in BASELINES:
        if name in DIRECT:
            rows = _direct(bench, name, progress)
            found: dict[Reading, Measured] = {"L": _columns(bench.data, rows)}
        elif name in LISTS_OF_EIGHT:
            readings: Sequence[Reading] = ("L", "S", "P") if logged else ("L", "S")
            found = evaluate_lists(bench, made[name], readings, progress)
        else:
            # One query alone has to fill the whole list of candidates.
            hits = bench.limit if name == "all signals" else bench.hits
            found = {"L": _alone(bench, made[name], hits, progress)}
        if name == "own signals" and logged:
            found |= evaluate_lists(bench, {}, ("P",))
        systems += [System(name, reading, values) for reading, values in found.items()]
    return systems, made


def baseline_lists(data: EvaluationSet) -> dict[str, dict[str, tuple[Query, ...]]]:
    """The queries of every baseline that has some, by its name and the user's id."""
    made: dict[str, dict[str, tuple[Query, ...]]] = {
        name: {} for name in BASELINES if name not in DIRECT
    }
    counts = baselines.PhraseCounts()
    waiting = sorted(data.articles, key=lambda one: -one.published_ms)
    for user in sorted(data.users, key=lambda one: one.now_ms):
        counts.add(_until(waiting, user.now_ms))
        signals = user.signals
        made["own signals"][user.id] = baselines.own_signals(signals)
        made["all signals"][user.id] = baselines.all_in_one(signals)
        made["clicked titles"][user.id] = baselines.clicked_titles(signals)
        made["tf-idf"][user.id] = baselines.tfidf_phrases(signals, counts)
        made["heuristic"][user.id] = baselines.heuristic(signals)
    return made


def as_many(phrases: Lists, lists: Lists) -> dict[str, Sequence[Query]]:
    """The first phrases of every user, as many as the user's list has queries."""
    return {user: best[: len(lists.get(user, ()))] for user, best in phrases.items()}


def own_as_many(bench: Bench, lists: Lists) -> dict[str, Sequence[Query]]:
    """The newest own signals of every user, as many as are searched when a list stands beside."""
    return {
        user.id: baselines.own_signals(
            user.signals,
            len(_as_served(bench, user, tuple(lists.get(user.id, ()))[:MAX_QUERIES])),
        )
        for user in bench.data.users
    }


def _until(waiting: list[Article], now_ms: int) -> list[Article]:
    """Take the articles from before a moment off the end of `waiting` (newest first)."""
    taken = []
    while waiting and waiting[-1].published_ms <= now_ms:
        taken.append(waiting.pop())
    return taken


def measure(data: EvaluationSet, user: EvaluationUser, ranked: Ranked) -> dict[str, float]:
    """All measures of one user's ranking; `auc` is NaN where all or nothing shown was clicked."""
    row = {
        "recall@50": recall_at(ranked.ids, user.relevant, 50),
        "recall@100": recall_at(ranked.ids, user.relevant, 100),
        "ndcg@50": ndcg_at(ranked.ids, user.relevant, 50),
    }
    if not data.simulated:
        labels = [clicked for _, clicked in user.shown]
        scores = [ranked.scores.get(id_, 0.0) for id_, _ in user.shown]
        both = any(labels) and not all(labels)
        row["auc"] = auc(scores, labels) if both else float("nan")
        row["mrr"] = _mrr_within(user, ranked)
    return row


def _mrr_within(user: EvaluationUser, ranked: Ranked) -> float:
    """Of the first click among the articles shown, by score; ties in the log's own order."""
    order = sorted(user.shown, key=lambda one: -ranked.scores.get(one[0], 0.0))
    clicked = [id_ for id_, hit in user.shown if hit]
    return mrr([id_ for id_, _ in order], clicked) if clicked else float("nan")


def _alone(bench: Bench, lists: Lists, hits: int, progress: Progress) -> Measured:
    rows = []
    for user in bench.data.users:
        ranked = bench.rank(user, lists.get(user.id, ()), hits=hits)
        rows.append(measure(bench.data, user, ranked))
        progress(1)
    return _columns(bench.data, rows)


def _direct(bench: Bench, name: str, progress: Progress) -> list[dict[str, float]]:
    rows = []
    for user in bench.data.users:
        ranked = bench.popular(user) if name == "popularity" else bench.recent(user)
        rows.append(measure(bench.data, user, ranked))
        progress(1)
    return rows


def _columns(data: EvaluationSet, rows: Sequence[Mapping[str, float]]) -> Measured:
    names = MEASURES if data.simulated else LOG_MEASURES
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in names}
