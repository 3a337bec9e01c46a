"""What searches find, as columns: articles held once in a table, and hits that are rows of it.

A request finds a thousand hits and shows a hundred. As columns the thousand are two arrays a list,
which the fusion adds up, and `Hit` objects are made of those alone that somebody looks at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from threading import Lock
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt

from service.records import Headline, Hit

Ints = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

_FIRST_ROOM = 1024
_MOST_KEPT = 20_000
_made = count()
_NO_ROWS, _NO_SCORES = np.empty(0, np.intp), np.empty(0)


class Columns(NamedTuple):
    """What the fusion counts with, one entry a row of the table, and room behind the last."""

    numbers: Ints
    """The number of the article's id: rows of one id have one number."""
    published: Floats
    popularity: Floats


class ArticleTable:
    """Articles that were found, each held once.

    Rows are added and never changed: an article whose title has changed since is another row, of
    the same number. So a list of rows says the same for as long as it is kept. For many threads.
    """

    def __init__(self) -> None:
        self._rows: dict[Headline, int] = {}
        self._numbers: dict[str, int] = {}
        self._columns = Columns(
            np.zeros(_FIRST_ROOM, np.intp), np.zeros(_FIRST_ROOM), np.zeros(_FIRST_ROOM)
        )
        self._adding = Lock()
        self.made = next(_made)
        """Tables made later have higher numbers."""
        self.longest_id = 0
        """Characters of the longest id, or more."""
        self.headlines: list[Headline] = []
        """Of each row."""

    def __len__(self) -> int:
        return len(self.headlines)

    @property
    def columns(self) -> Columns:
        """The columns now: they hold every row that was known before the call."""
        return self._columns

    @property
    def ids(self) -> int:
        """How many ids there are, and so the least number that none has."""
        return len(self._numbers)

    def rows(self, articles: Iterable[Headline]) -> Ints:
        """The rows of these articles; those that are new are added."""
        articles = list(articles)
        found = list(map(self._rows.get, articles))
        if None in found:
            found = [self.row(article) for article in articles]
        return np.array(found, np.intp)

    def numbers_of(self, ids: Iterable[str]) -> list[int]:
        """The numbers of those ids that are known."""
        return [number for number in map(self._numbers.get, ids) if number is not None]

    def hit(self, row: int, score: float) -> Hit:
        """The article of a row as a search finds it."""
        return Hit(*self.headlines[row], score)

    def row(self, article: Headline) -> int:
        """The row of one article."""
        with self._adding:
            row = self._rows.get(article)
            if row is not None:
                return row
            row = len(self.headlines)
            columns = self._columns
            if row == len(columns.numbers):
                columns = Columns(*[np.concatenate([one, np.zeros_like(one)]) for one in columns])
            number = self._numbers.setdefault(article[0], len(self._numbers))
            columns.numbers[row] = number
            columns.published[row], columns.popularity[row] = article[3], article[4]
            self._columns = columns
            self.longest_id = max(self.longest_id, len(article[0]))
            self.headlines.append(article)
            self._rows[article] = row  # last: who finds it here finds all else
            return row


class Hits(Sequence[Hit]):
    """The hits of one search, best first: rows of a table, and scores. Neither array changes.

    It is a sequence of `Hit`, and equal to any other of the same hits.
    """

    __slots__ = ("_elsewhere", "rows", "scores", "table")

    def __init__(self, table: ArticleTable, rows: Ints, scores: Floats) -> None:
        self.table = table
        self.rows = rows
        self.scores = scores
        self._elsewhere: Hits | None = None

    @classmethod
    def of(cls, hits: Sequence[Hit], table: ArticleTable) -> Hits:
        """The hits as rows of this table."""
        if type(hits) is Hits:
            return hits.within(table)
        if not hits:
            return cls(table, _NO_ROWS, _NO_SCORES)
        rows = table.rows([hit.headline for hit in hits])
        return cls(table, rows, np.array([hit.score for hit in hits], np.float64))

    def within(self, table: ArticleTable) -> Hits:
        """The same hits as rows of this table; what was made last is kept."""
        if self.table is table:
            return self
        kept = self._elsewhere
        if kept is None or kept.table is not table:
            headlines = self.table.headlines
            rows = table.rows([headlines[row] for row in self.rows.tolist()])
            kept = self._elsewhere = Hits(table, rows, self.scores)
        return kept

    def taken(self, which: Ints | npt.NDArray[np.bool_], scores: Floats | None = None) -> Hits:
        """Some of the hits, by their places or a mask; `scores` are theirs, where they change."""
        return Hits(self.table, self.rows[which], self.scores[which] if scores is None else scores)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> Hit: ...
    @overload
    def __getitem__(self, place: slice) -> Hits: ...
    def __getitem__(self, place: int | slice) -> Hit | Hits:
        if isinstance(place, slice):
            return Hits(self.table, self.rows[place], self.scores[place])
        return self.table.hit(int(self.rows[place]), float(self.scores[place]))

    def __iter__(self) -> Iterator[Hit]:
        return map(self.table.hit, self.rows.tolist(), self.scores.tolist())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(
            mine == his for mine, his in zip(self, other, strict=True)
        )

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


class Shelf:
    """The table that all searches of an index share, begun anew once it holds `most` articles.

    The one before lasts for as long as hits of it are kept somewhere. For many threads.
    """

    def __init__(self, most: int = _MOST_KEPT) -> None:
        self._most = most
        self._table = ArticleTable()

    def table(self) -> ArticleTable:
        """The table for the next hits."""
        if len(self._table) >= self._most:
            self._table = ArticleTable()
        return self._table


def as_columns(hits: Sequence[Hit]) -> Hits:
    """The hits as columns: themselves, or in a table of their own."""
    return hits if type(hits) is Hits else Hits.of(hits, ArticleTable())


def in_one_table(lists: Sequence[Sequence[Hit]]) -> tuple[ArticleTable, list[Hits]]:
    """The lists as rows of one table: the latest that any of them is of, else a new one."""
    tables = {hits.table for hits in lists if type(hits) is Hits}
    table = max(tables, key=lambda one: one.made) if tables else ArticleTable()
    return table, [Hits.of(hits, table) for hits in lists]
