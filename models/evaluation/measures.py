"""How good one ranking is for one user: each measure a number from 0 to 1.

`auc` measures an impression, the others a ranked list. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from service.errors import InvalidInput


def recall_at(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """Share of the relevant ids that the first `k` ranked ids hold.

    The denominator is the number of relevant ids, not the smaller of that and `k`: with more
    relevant ids than `k`, a perfect list stays below 1. A repeated id counts once. Raises
    `InvalidInput` where nothing is relevant or `k` is below 1.
    """
    wanted = _wanted(relevant, k)
    return len(wanted.intersection(ranked[:k])) / len(wanted)


def ndcg_at(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """Normalised discounted cumulative gain of the first `k` ranked ids, with gains of 0 and 1.

    Järvelin & Kekäläinen, Cumulated gain-based evaluation of IR techniques (ACM TOIS, 2002): the
    sum of the discounted gains over that of the best possible list. The discount is
    1 / log2(rank + 1), as in Burges et al. (ICML 2005) and MIND's own script; theirs of 2002 does
    not tell ranks 1 and 2 apart. An id that is repeated gains at its first rank only. Raises
    `InvalidInput` where nothing is relevant or `k` is below 1.
    """
    wanted = _wanted(relevant, k)
    best = min(k, len(wanted))
    depth = min(k, max(len(ranked), best))
    discounts = 1.0 / np.log2(np.arange(2, depth + 2))
    gained = 0.0
    for discount, id_ in zip(discounts, ranked, strict=False):
        if id_ in wanted:
            gained += float(discount)
            wanted.remove(id_)
    # The two sums may round differently where the list is perfect.
    return min(gained / float(discounts[:best].sum()), 1.0)


def graded_ndcg_at(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """`ndcg_at` with grades as gains, as trec_eval reckons it: an article graded 2 gains twice one
    graded 1, what was not judged gains nothing.

    An id that is repeated gains at its first rank only. Raises `InvalidInput` where no grade is
    above 0 or `k` is below 1.
    """
    _wanted([id_ for id_, grade in grades.items() if grade > 0], k)
    ideal = sorted(grades.values(), reverse=True)[:k]
    depth = max(min(k, len(ranked)), len(ideal))
    discounts = 1.0 / np.log2(np.arange(2, depth + 2))
    gained, seen = 0.0, set[str]()
    for discount, id_ in zip(discounts, ranked[:k], strict=False):
        if id_ not in seen:
            gained += float(discount) * grades.get(id_, 0)
            seen.add(id_)
    return min(gained / float(discounts[: len(ideal)] @ np.array(ideal)), 1.0)


def precision_at(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """Share of the first `k` places that hold a relevant id; a place that is empty holds none.

    Raises `InvalidInput` where `k` is below 1.
    """
    if k < 1:
        raise InvalidInput("must be 1 or more", field="k")
    return len(set(ranked[:k]).intersection(relevant)) / k


def mrr(ranked: Sequence[str], relevant: Collection[str]) -> float:
    """One over the rank of the first relevant id, 0 where the list holds none.

    Its mean over users is the mean reciprocal rank (Voorhees, The TREC-8 Question Answering Track
    Report, 1999). MIND's own script averages over all clicks of an impression instead, which is
    lower where there are several. Raises `InvalidInput` where nothing is relevant.
    """
    wanted = _wanted(relevant, 1)
    return next((1.0 / rank for rank, id_ in enumerate(ranked, 1) if id_ in wanted), 0.0)


def auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Chance that, within one impression, a clicked article scores above one that was not clicked.

    The area under the ROC curve, computed as the Mann-Whitney statistic (Hanley & McNeil, Radiology
    1982): over all pairs of a clicked and an unclicked article, with ties counting half. `scores`
    are numbers and `labels` booleans, one each an article shown. Raises `InvalidInput` for other
    shapes, for scores that are not numbers, and where not both kinds of article were shown.
    """
    values, clicked = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if values.ndim != 1 or values.shape != clicked.shape:
        raise InvalidInput("must be as many as the scores, in one row", field="labels")
    if clicked.dtype != np.bool_ or clicked.all() or not clicked.any():
        raise InvalidInput("must be booleans, with both kinds among them", field="labels")
    if np.isnan(values).any():
        raise InvalidInput("must be numbers, not NaN", field="scores")
    above, below = values[clicked], np.sort(values[~clicked])
    won = np.searchsorted(below, above, "left")
    not_lost = np.searchsorted(below, above, "right")
    return float((won + not_lost).sum() / (2 * above.size * below.size))


def _wanted(relevant: Collection[str], k: int) -> set[str]:
    if not relevant:
        raise InvalidInput("is empty: there is nothing to find", field="relevant")
    if k < 1:
        raise InvalidInput("must be 1 or more", field="k")
    return set(relevant)
