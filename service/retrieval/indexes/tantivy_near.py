"""Search by meaning in the embedded index: every article compared, so what is found is exact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from service.records import Encoded, Filters, Hit, Vectors
from service.retrieval.indexes.tantivy_vectors import Places, Table

_CHUNK = 8192
"""Rows compared at once: 4 bytes for each of them and each text."""
_DECIMALS = 6
"""Of a cosine. A product's last digits depend on where in it a row stands, so equal vectors would
not tie; beyond these digits float32 says nothing."""
_STEP = 10.0**-_DECIMALS

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
) -> tuple[tuple[Hit, ...], ...] | None:
    """The `size` articles nearest to each text, by cosine, then newest first, then by id.

    `texts` is (texts, dimension), rows of length 1; one of zeros is near to nothing. None as soon
    as `go_on` says so.
    """
    rows = table.between(filters)
    best = [(np.zeros(0, np.int64), np.zeros(0)) for _ in texts]
    for start in range(rows.start, rows.stop, _CHUNK):
        if not go_on():
            return None
        chunk = table.vectors[start : min(start + _CHUNK, rows.stop)]
        scores = texts @ chunk.T
        best = [
            _merged(known, start, of_text, size)
            for known, of_text in zip(best, scores, strict=True)
        ]
    some = np.any(texts, axis=1).tolist()
    return tuple(
        [
            table.hits(places, scores.tolist()) if there else ()
            for there, (places, scores) in zip(some, best, strict=True)
        ]
    )


def _merged(
    known: tuple[Places, Scores], start: int, scores: npt.NDArray[np.float32], size: int
) -> tuple[Places, Scores]:
    """The best of what is known and of the scores of the rows from `start` on.

    Rows come in the order of rank among equals, so an equal one that comes later stays behind.
    """
    places, values = known
    if len(places) == size:
        chosen = np.flatnonzero(scores > np.float32(values[-1]))
    elif len(scores) > size:
        last = np.partition(scores, -size)[-size]
        chosen = np.flatnonzero(scores >= last - _STEP)
    else:
        chosen = np.arange(len(scores))
    if not len(chosen):
        return known
    found = np.clip(np.round(scores[chosen].astype(np.float64), _DECIMALS), -1.0, 1.0)
    places = np.concatenate([places, chosen + start])
    values = np.concatenate([values, found])
    order = np.argsort(-values, kind="stable")[:size]
    return places[order], values[order]
