"""Search by meaning in the embedded index: every article compared, so what is found is exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.records import Encoded, Filters, Vectors
from service.retrieval.articles import Hits
from service.retrieval.indexes.tantivy_vectors import Places, Table

_CHUNK = 8192
"""Rows compared at once: 4 bytes for each of them and each text."""
_DECIMALS = 6
"""Of a cosine. A product's last digits depend on where in it a row stands, so equal vectors would
not tie; beyond these digits float32 says nothing."""
_STEP = 10.0**-_DECIMALS

_APART = 4.0
"""Between the values of two texts when all are sorted at once: further than cosines reach."""

Scores = npt.NDArray[np.float64]


def comparable(table: Table | None, encoded: Encoded | None, texts: int) -> bool:
    """Whether the index has vectors of the same encoder as these, of so many texts."""
    return (
        table is not None
        and encoded is not None
        and encoded.key == table.encoder.key
        and encoded.vectors.shape == (texts, table.encoder.dimension)
    )


def nearest(
    table: Table, texts: Vectors, size: int, filters: Filters, go_on: Callable[[], bool]
) -> tuple[Hits, ...] | None:
    """The `size` articles nearest to each text, by cosine, then newest first, then by id.

    `texts` is (texts, dimension), rows of length 1; one of zeros is near to nothing. None as soon
    as `go_on` says so.
    """
    rows = table.between(filters)
    best = _Best.none(len(texts))
    for start in range(rows.start, rows.stop, _CHUNK):
        if not go_on():
            return None
        chunk = table.vectors[start : min(start + _CHUNK, rows.stop)]
        best = best.merged(texts @ chunk.T, start, size)
    hits = table.hits(best.places, best.values)
    some = np.any(texts, axis=1).tolist()
    ends = np.cumsum(best.counts).tolist()
    return tuple(
        [
            hits[begin:end] if there else hits[:0]
            for there, begin, end in zip(some, [0, *ends], ends, strict=False)
        ]
    )


@dataclass(frozen=True, slots=True)
class _Best:
    """The best of each text so far: those of the first text, best first, then of the next.

    Kept for all texts in one array: numpy's calls, not the numbers, take the time.
    """

    texts: Places
    """Which text each is of."""
    places: Places
    values: Scores
    counts: Places
    """How many there are of each text."""

    @classmethod
    def none(cls, texts: int) -> _Best:
        """Nothing yet of so many texts."""
        none = np.zeros(0, np.int64)
        return cls(none, none, np.zeros(0), np.zeros(texts, np.int64))

    def merged(self, scores: npt.NDArray[np.float32], start: int, size: int) -> _Best:
        """With those of the rows from `start` on, whose scores are (texts, rows).

        Rows come in the order of rank among equals, so an equal one that comes later stays behind.
        """
        chosen = np.flatnonzero(scores > self._beaten(scores, size)[:, None])
        texts, columns = np.divmod(chosen, scores.shape[1])
        found = scores.ravel()[chosen].astype(np.float64)
        values = np.concatenate([self.values, np.clip(np.round(found, _DECIMALS), -1.0, 1.0)])
        texts = np.concatenate([self.texts, texts])
        # Stable: equal ones stay in the order of their rows.
        order = np.argsort(_APART * texts - values, kind="stable")
        counts = self.counts + np.bincount(texts[len(self.texts) :], minlength=len(self.counts))
        ranks = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        order = order[ranks < size]
        places = np.concatenate([self.places, columns + start])
        return _Best(texts[order], places[order], values[order], np.minimum(counts, size))

    def _beaten(self, scores: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
        """The score of each text that another has to be above."""
        full = self.counts == size
        if full.all():
            last: npt.NDArray[np.float32] = self.values[size - 1 :: size].astype(np.float32)
            return last
        if scores.shape[1] <= size:
            return np.full(len(scores), -np.inf, np.float32)
        enough = np.partition(scores, -size, axis=1)[:, -size]
        lowest: npt.NDArray[np.float32] = np.nextafter(
            enough - np.float32(_STEP), np.float32(-np.inf)
        )
        return lowest
