"""The rows that the next file of vectors will have: those of a load, or the live ones, changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from service.encoding.vectors import unit_rows
from service.errors import ConfigurationError
from service.records import Article, Vectors
from service.retrieval.indexes.loading import EncoderOf
from service.retrieval.indexes.tantivy_vectors import Places, Row, Table, rows_of, write_table


class NewRows:
    """The rows of a load. Their vectors wait in a file, so that they need no memory."""

    def __init__(self, folder: Path, encoder: EncoderOf) -> None:
        """Raises `OSError`."""
        self._encoder = encoder
        self._rows: dict[str, Row] = {}
        self._count = 0
        self._path = folder / "vectors.waiting"
        self._file = self._path.open("xb")

    def put(self, articles: Sequence[Article], vectors: Vectors | None) -> None:
        """Add articles; of those with the same id the last stays. Raises as `checked`."""
        vectors = checked(vectors, len(articles), self._encoder)
        _put(self._rows, rows_of(articles, vectors, self._count))
        self._file.write(vectors.tobytes())
        self._count += len(articles)

    def write(self, folder: Path) -> str:
        """Write the file and return its name. Raises `OSError`."""
        self.close()
        shape = (self._count, self._encoder.dimension)
        if self._count:
            waiting: Vectors = np.memmap(self._path, np.float32, "r", shape=shape)
        else:
            waiting = np.zeros(shape, np.float32)
        name = write_table(folder, self._encoder, self._rows.values(), waiting.__getitem__)
        self._path.unlink()
        return name

    def close(self) -> None:
        """Close the file in which vectors wait."""
        self._file.close()


class ChangedRows:
    """The rows of the live index with the changes of one command."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._rows = {row.id: row for row in table.rows()}
        self._new = np.zeros((0, table.encoder.dimension), np.float32)
        self.changed = False

    def put(self, articles: Sequence[Article], vectors: Vectors | None) -> None:
        """Add or replace articles. Raises as `checked`."""
        vectors = checked(vectors, len(articles), self._table.encoder)
        first = self._table.count + len(self._new)
        _put(self._rows, rows_of(articles, vectors, first))
        self._new = np.concatenate([self._new, vectors])
        self.changed = True

    def remove(self, ids: Sequence[str]) -> None:
        """Remove those that are there."""
        for id_ in ids:
            if self._rows.pop(id_, None) is not None:
                self.changed = True

    def write(self, folder: Path) -> str:
        """Write the file and return its name. Raises `OSError`."""
        return write_table(folder, self._table.encoder, self._rows.values(), self._vectors)

    def _vectors(self, places: Places) -> Vectors:
        taken = np.empty((len(places), self._table.encoder.dimension), np.float32)
        new = places >= self._table.count
        taken[~new] = self._table.vectors[places[~new]]
        taken[new] = self._new[places[new] - self._table.count]
        return taken


def checked(vectors: Vectors | None, count: int, encoder: EncoderOf) -> Vectors:
    """The vectors of `count` articles, rows of length 1 or of zeros.

    Raises `ConfigurationError` where there are none, and `EncoderUnavailable` for another shape and
    for numbers that are not finite.
    """
    if vectors is None:
        raise ConfigurationError(f"the index needs vectors of {encoder.key} with its articles")
    return unit_rows(vectors, count, encoder.dimension)


def _put(rows: dict[str, Row], changed: dict[str, Row | None]) -> None:
    for id_, row in changed.items():
        if row is None:
            rows.pop(id_, None)
        else:
            rows[id_] = row
