"""How good lists of queries are: searched, merged and measured as the service would serve them.

L is a list alone, S the list beside the user's own newest signals, both without popularity: what
the user's history says. In logs, P is S with popularity, as served. `evaluate_lists` measures lists
from anywhere, a running engine or a training; `models.evaluation.systems` all that an evaluation
sets against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.evaluation.bench import Bench, Ranked
from models.evaluation.measures import auc, mrr, ndcg_at, recall_at
from models.evaluation.sets import EvaluationSet, EvaluationUser
from models.progress import Progress, untold
from service.defaults import MAX_QUERIES
from service.errors import InvalidInput
from service.generation.own import beside
from service.records import Query

Reading = Literal["L", "S", "P"]
Lists = Mapping[str, Sequence[Query]]
"""Queries by user id; a user without an entry got no list."""
Measured = Mapping[str, NDArray[np.float64]]
"""One value a user and measure, in the set's order; NaN where a measure is not defined."""

MEASURES = ("recall@50", "recall@100", "ndcg@50")
LOG_MEASURES = (*MEASURES, "auc", "mrr")


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
    unknown = set(lists) - {user.id for user in bench.data.users}
    if unknown:
        raise InvalidInput(f"{min(unknown)!r} is no user of this set", field="lists")
    rows: dict[Reading, list[dict[str, float]]] = {reading: [] for reading in readings}
    for user in bench.data.users:
        queries = tuple(lists.get(user.id, ()))[:most]
        together = as_served(bench, user, queries)
        for reading in readings:
            served = queries if reading == "L" else together
            ranked = bench.rank(user, served, popular=reading == "P")
            rows[reading].append(measure(bench.data, user, ranked))
        progress(1)
    return {reading: columns(bench.data, measured) for reading, measured in rows.items()}


def evaluate_ranking(
    bench: Bench, rank: Callable[[EvaluationUser], Ranked], progress: Progress = untold
) -> Measured:
    """Measure what `rank` gives each user. `progress` is called with 1 after each of them."""
    rows = []
    for user in bench.data.users:
        rows.append(measure(bench.data, user, rank(user)))
        progress(1)
    return columns(bench.data, rows)


def as_served(bench: Bench, user: EvaluationUser, queries: Sequence[Query]) -> tuple[Query, ...]:
    """What is searched in S: the queries, and beside them the user's own newest signals."""
    return beside(queries, user.signals, bench.own_signals, bench.own_weight)


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
    order = sorted((id_ for id_, _ in user.shown), key=lambda id_: -ranked.scores.get(id_, 0.0))
    clicked = [id_ for id_, hit in user.shown if hit]
    return mrr(order, clicked) if clicked else float("nan")


def columns(data: EvaluationSet, rows: Sequence[Mapping[str, float]]) -> Measured:
    """The measures of all users, each one array."""
    names = MEASURES if data.simulated else LOG_MEASURES
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in names}
