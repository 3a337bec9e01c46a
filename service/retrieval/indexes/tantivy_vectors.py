"""The vectors of an embedded index's articles: one file a commit, mapped and never changed.

A generation that was begun with an encoder holds `vectors-<number>` beside tantivy's files:

    a line of JSON: format, encoder, dimension, rows     padded to a multiple of 64 bytes
    published     (rows,)               int64            milliseconds
    popularity    (rows,)               float64
    ends          (3 * rows + 1,)       int64            where id, title and category begin in texts
    vectors       (rows, dimension)     float32          rows of length 1
    digests       (rows, 16)            bytes            of the texts that were encoded
    texts         UTF-8
    the end that tantivy's files have, too: see `tantivy_copy`

All numbers are little-endian. Rows stand newest first, then by id: the order in which equal scores
are ranked, and one in which any bounds on the date leave a run of rows. An article whose vector is
all zeros has no row, since it is near to nothing.

Which file belongs to a commit is said by a document of that commit, `signpost`. So tantivy's own
commit is the only switch: before it the file before is the one that counts, after it the new one.
"""

from __future__ import annotations

import itertools
import mmap
import os
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from tantivy import Document, IndexWriter, Query, Searcher

from service.records import Article, Filters, Headline, Vectors
from service.retrieval.articles import Floats, Hits, Shelf
from service.retrieval.indexes import tantivy_files as files
from service.retrieval.indexes.loading import EncoderOf, Vector, article_text, text_digest
from service.retrieval.indexes.tantivy_copy import check_file, damaged, end_of_file

Places = npt.NDArray[np.int64]
"""Numbers of rows, of this file or of where they are taken from."""

_FORMAT = 1
_SIGNPOST = "vectors"
"""In the field `FILLED` of the document that names the file."""
_NAME = re.compile(r"vectors-\d+")
_ALIGNED = 64
_DIGEST = 16
_CHUNK = 4096
"""Rows written at once."""
_UNKNOWN = np.intp(-1)
"""In place of the row of an article that was not found yet."""


@dataclass(frozen=True, slots=True)
class Row:
    """An article as the file holds it; `at` is where its vector stands."""

    id: str
    title: str
    category: str
    published_ms: int
    popularity: float
    digest: bytes
    at: int


def rows_of(articles: Sequence[Article], vectors: Vectors, first: int) -> dict[str, Row | None]:
    """A row for each article by id, the last of each, and None for one without a vector.

    The vectors are counted from `first`.
    """
    some = np.any(vectors, axis=1).tolist()
    return {
        article.id: Row(
            id=article.id,
            title=article.title,
            category=article.category,
            published_ms=article.published_ms,
            popularity=float(article.popularity),
            digest=text_digest(article_text(article)),
            at=first + place,
        )
        if some[place]
        else None
        for place, article in enumerate(articles)
    }


class Table:
    """A file of vectors, open. It is read in place: whoever maps it sees that nobody cuts it."""

    def __init__(self, path: Path, content: int, shelf: Shelf | None = None) -> None:
        """`content` is its bytes without its end; the articles that are found go on `shelf`.

        Raises `RetrievalUnavailable` and `OSError`.
        """
        self.name = path.name
        self._shelf = shelf or Shelf()
        self.count: int
        """Of rows."""
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            line = self._data.find(b"\n") + 1
            about = orjson.loads(self._data[:line])
            if about["format"] != _FORMAT:
                raise ValueError("another format")
            self.encoder = EncoderOf(about["encoder"], about["dimension"])
            self.count = rows = about["rows"]
            self._at = line
            self.published_ms = self._take("<i8", rows)
            self._popularity = self._take("<f8", rows)
            self._ends = self._take("<i8", 3 * rows + 1)
            self.vectors: Vectors = self._take("<f4", rows * self.encoder.dimension)
            self.vectors = self.vectors.reshape(rows, self.encoder.dimension)
            self._digests = self._take("u1", rows * _DIGEST)
            if self._at + int(self._ends[-1]) != content:
                raise ValueError("another length")
            self._known = self._shelf.table(), np.full(rows, _UNKNOWN)
        except (ValueError, KeyError, TypeError) as error:
            raise damaged(path) from error

    def between(self, filters: Filters) -> slice:
        """The rows of the articles that satisfy the filters."""
        oldest_first = self.published_ms[::-1]
        start, stop = 0, self.count
        if (until := filters.published_until_ms) is not None:
            start = self.count - int(np.searchsorted(oldest_first, until, "right"))
        if (after := filters.published_after_ms) is not None:
            stop = self.count - int(np.searchsorted(oldest_first, after, "left"))
        return slice(start, max(start, stop))

    def hits(self, places: Places, scores: Floats) -> Hits:
        """The articles of some rows. Their texts are decoded once, since the same come again."""
        table = self._shelf.table()
        of, known = self._known
        if of is not table:
            known = np.full(self.count, _UNKNOWN)
            self._known = table, known  # another thread may be using the one before
        rows = known[places]
        if len(new := np.unique(places[rows == _UNKNOWN])):
            known[new] = table.rows(itertools.starmap(Headline, self._fields(new)))
            rows = known[places]
        return Hits(table, rows, scores)

    def rows(self) -> Iterator[Row]:
        """All rows, `at` being their places here."""
        for start in range(0, self.count, _CHUNK):
            places = np.arange(start, min(start + _CHUNK, self.count))
            for at, fields in zip(places.tolist(), self._fields(places), strict=True):
                yield Row(*fields, self._digest(at), at)

    def known(self, digests: Iterable[bytes]) -> dict[bytes, Vector]:
        """Copies of the vectors of these texts, as far as they are here."""
        places = self._by_digest
        return {
            digest: np.array(self.vectors[places[digest]]) for digest in digests if digest in places
        }

    @cached_property
    def _by_digest(self) -> Mapping[bytes, int]:
        return {self._digest(place): place for place in range(self.count)}

    def _digest(self, place: int) -> bytes:
        return self._digests[place * _DIGEST : (place + 1) * _DIGEST].tobytes()

    def _fields(self, places: Places) -> Iterator[tuple[str, str, str, int, float]]:
        """Id, title, category, date and popularity of rows."""
        data = self._data
        ends = self._ends[3 * places[:, None] + np.arange(4)] + self._at
        numbers = self.published_ms[places].tolist(), self._popularity[places].tolist()
        for (id_, title, category, end), *others in zip(ends.tolist(), *numbers, strict=True):
            yield (
                data[id_:title].decode(),
                data[title:category].decode(),
                data[category:end].decode(),
                *others,
            )

    def _take(self, kind: str, count: int) -> npt.NDArray[Any]:
        taken = np.frombuffer(self._data, kind, count, self._at)
        self._at += taken.nbytes
        return taken


def write_table(
    folder: Path, encoder: EncoderOf, rows: Iterable[Row], vectors: Callable[[Places], Vectors]
) -> str:
    """Write a new file, to the disk, and return its name; `vectors` gives those at some places.

    Nothing refers to it yet. Raises `OSError`.
    """
    path = folder / f"{_SIGNPOST}-{time.time_ns()}"
    checksum = 0
    with path.open("xb") as file:
        for part in _parts(encoder, rows, vectors):
            file.write(part)
            checksum = zlib.crc32(part, checksum)
        file.write(end_of_file(checksum))
        file.flush()
        os.fsync(file.fileno())
    return path.name


def _parts(
    encoder: EncoderOf, rows: Iterable[Row], vectors: Callable[[Places], Vectors]
) -> Iterator[bytes]:
    """The content of a file, in order."""
    ordered = sorted(rows, key=lambda row: (-row.published_ms, row.id))
    texts = [text.encode() for row in ordered for text in (row.id, row.title, row.category)]
    ends = np.zeros(len(texts) + 1, "<i8")
    np.cumsum([len(text) for text in texts], out=ends[1:])
    yield _head(encoder, len(ordered))
    yield np.array([row.published_ms for row in ordered], "<i8").tobytes()
    yield np.array([row.popularity for row in ordered], "<f8").tobytes()
    yield ends.tobytes()
    for start in range(0, len(ordered), _CHUNK):
        places = np.array([row.at for row in ordered[start : start + _CHUNK]], np.int64)
        yield vectors(places).astype("<f4", copy=False).tobytes()
    yield b"".join([row.digest for row in ordered])
    yield b"".join(texts)


def _head(encoder: EncoderOf, rows: int) -> bytes:
    about = orjson.dumps(
        {
            "format": _FORMAT,
            "encoder": encoder.key,
            "dimension": encoder.dimension,
            "rows": rows,
        }
    )
    return about.ljust(-(-(len(about) + 1) // _ALIGNED) * _ALIGNED - 1) + b"\n"


def signpost(writer: IndexWriter, name: str, texts: Mapping[str, str]) -> None:
    """Let the next commit have this file. `texts` keep the mean lengths of the fields."""
    writer.delete_documents_by_term(files.FILLED, _SIGNPOST)
    writer.add_document(Document(**{**texts, files.FILLED: [files.ANY, _SIGNPOST]}, category=name))


def named(searcher: Searcher) -> str | None:
    """The name of a commit's file of vectors; None for an index that was built without."""
    query = Query.term_query(files.build_schema(), files.FILLED, _SIGNPOST)
    found = searcher.search(query, 1, count=False).hits
    return str(searcher.doc(found[0][1]).to_dict()["category"][0]) if found else None


def open_table(generation: Path, searcher: Searcher) -> Table | None:
    """A commit's vectors, whole, in place; None where it has none.

    Raises `RetrievalUnavailable` for a file that is cut off or altered, and `OSError`.
    """
    if (name := named(searcher)) is None:
        return None
    return Table(generation / name, check_file(generation / name))


def remove_others(generation: Path, name: str | None) -> None:
    """Remove files of vectors that are not the live commit's: killed changes leave them behind."""
    for path in generation.iterdir():
        if _NAME.fullmatch(path.name) and path.name != name:
            path.unlink(missing_ok=True)
