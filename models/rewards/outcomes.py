"""From an answer to what it finds, by the code that serves: parser, search, fusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from models.evaluation.bench import Bench
from models.evaluation.sets import EvaluationUser
from models.rewards.records import ALONE, SEEN, Outcome, Target
from service.defaults import MAX_QUERIES
from service.encoding.onnx import OnnxModel
from service.generation.queries import queries_in
from service.records import Query, Run, Signal

_KEPT = 20_000
"""Searches that are kept: users share queries, and the lists of one user share most of theirs."""
_VECTORS = 50_000


class Outcomes:
    """Answers searched and merged over the articles of a bench.

    Users to whom every article may be shown (`live` is None) share their searches: a query finds
    the same for all of them.
    """

    def __init__(self, bench: Bench, encoder: OnnxModel | None = None) -> None:
        """With the `encoder` of the bench it is told which signal each query is nearest to."""
        self.bench = bench
        self._encoder = encoder
        self._search = lru_cache(_KEPT)(self._searched)
        self._vector = lru_cache(_VECTORS)(self._encoded)

    def of(self, target: Target, shown: Sequence[Signal], text: str, *, finished: bool) -> Outcome:
        """What one answer finds. `shown` are the signals of its prompt.

        Raises what searching the index raises.
        """
        queries = queries_in(text, shown, finished=finished, max_queries=MAX_QUERIES)
        runs = [self.run(target.user, query) for query in queries]
        return Outcome(
            text=text,
            finished=finished,
            queries=queries,
            found=tuple(self.page(target.user, [run], ALONE) for run in runs),
            drop=tuple(map(drop, runs)),
            ranked=self.page(target.user, runs, SEEN),
            nearest=self._nearest(queries, target.user.signals),
        )

    def run(self, user: EvaluationUser, query: Query) -> Run:
        """What the index has for a query of this user."""
        if user.live is not None:
            return self.bench.search(user, query, self.bench.hits)
        return replace(self._search(query.text, query.meaning), query=query)

    def page(self, user: EvaluationUser, runs: Sequence[Run], places: int) -> tuple[str, ...]:
        """Runs merged as the gateway merges them, the first `places`."""
        before, self.bench.limit = self.bench.limit, places
        try:
            return self.bench.merged(user, runs, scored=False).ids
        finally:
            self.bench.limit = before

    def _searched(self, text: str, said: str) -> Run:
        query = Query(text, said=said)
        return self.bench.search(_ANYBODY, query, self.bench.hits)

    def _nearest(
        self, queries: Sequence[Query], signals: Sequence[Signal]
    ) -> tuple[tuple[int, float], ...]:
        if self._encoder is None or not queries or not signals:
            return ()
        near = (
            self._vectors([query.meaning for query in queries])
            @ self._vectors([signal.text for signal in signals]).T
        )
        return tuple((int(row.argmax()), float(row.max())) for row in near)

    def _vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.stack([self._vector(text) for text in texts])

    def _encoded(self, text: str) -> npt.NDArray[np.float32]:
        assert self._encoder is not None
        vector: npt.NDArray[np.float32] = self._encoder.encode([text], "query")[0]
        return vector


def drop(run: Run) -> float:
    """How much nearer the first of a query's hits is than the last ones, 0 to 1.

    By meaning where there is any nearness, else by words. A query that finds nothing has none; one
    that finds fewer than the search asked for falls to 0 after them.
    """
    scores = [hit.score for hit in run.near or run.hits]
    if not scores or scores[0] <= 0:
        return 0.0
    return min(1.0, max(0.0, 1 - scores[-1] / scores[0])) if len(scores) > ALONE else 1.0


_ANYBODY = EvaluationUser("anybody", (), frozenset(), frozenset(), 0)
