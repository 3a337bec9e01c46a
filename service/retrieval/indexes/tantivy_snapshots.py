"""What of the embedded index is open: the live generation's last commit, in a private copy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from tantivy import Searcher

from service.errors import RetrievalUnavailable
from service.languages import ENGLISH, Language
from service.retrieval.articles import Shelf
from service.retrieval.indexes import tantivy_files as files
from service.retrieval.indexes.tantivy_copy import copy_whole, private_copy
from service.retrieval.indexes.tantivy_hits import Documents
from service.retrieval.indexes.tantivy_query import Clauses
from service.retrieval.indexes.tantivy_vectors import Table, named


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One commit: its words, and its vectors where it was built with an encoder."""

    stamp: str
    searcher: Searcher
    documents: Documents
    clauses: Clauses
    table: Table | None = None


class Snapshots:
    """Opens what is live, whenever that has changed. For many threads."""

    def __init__(self, folder: Path, language: Language = ENGLISH) -> None:
        self._folder = folder
        self._language = language
        self._opening = Lock()
        self._snapshot: Snapshot | None = None
        self._refused: tuple[object, str] | None = None
        """The state of the files that were found damaged, and what was said of them."""

    def close(self) -> None:
        """Let go of what is open."""
        self._snapshot = None

    def open(self) -> Snapshot:
        """What is live now, or what was before while that cannot be opened. Raises as `current`."""
        try:
            return self.current()
        except RetrievalUnavailable:
            if (before := self._snapshot) is None:
                raise
            return before

    def current(self) -> Snapshot:
        """What is live now. It is opened in one thread only: others wait if nothing is open yet.

        Raises `RetrievalUnavailable` where nothing is live, or it is not whole.
        """
        for once_more in (True, False):
            try:
                return self._look()
            except (OSError, ValueError) as error:
                # A load may replace the generation between our look at the link and at its files.
                if not once_more:
                    raise RetrievalUnavailable(
                        f"the article index in {self._folder} cannot be opened: {error}; mend "
                        "that, or load the articles again with `interests index load FILE…`"
                    ) from error
        raise AssertionError("unreachable")

    def _look(self) -> Snapshot:
        generation = files.live(self._folder)
        now = files.stamp(generation)
        known = self._snapshot
        if known is not None and known.stamp == now:
            return known
        if known is None:
            self._opening.acquire()
        elif not self._opening.acquire(blocking=False):
            return known
        try:
            known = self._snapshot
            if known is None or known.stamp != now:
                known = self._snapshot = self._opened(now, generation)
            return known
        finally:
            self._opening.release()

    def _opened(self, stamp: str, generation: Path) -> Snapshot:
        """A copy, open. What was found damaged is read again once it has changed."""
        state = files.state(generation)
        if self._refused is not None and self._refused[0] == state:
            raise RetrievalUnavailable(self._refused[1])
        try:
            files.require_our_definition(generation, self._language)
            with private_copy(generation) as copy:
                index = files.open_files(copy, self._language)
                index.reload()
                searcher = index.searcher()
                shelf = Shelf()
                table = _table(generation, copy, searcher, shelf)
                documents = Documents(searcher, shelf)
                return Snapshot(stamp, searcher, documents, Clauses(searcher), table)
        except RetrievalUnavailable as error:
            self._refused = state, str(error)
            raise


def _table(generation: Path, copy: Path, searcher: Searcher, shelf: Shelf) -> Table | None:
    if (name := named(searcher)) is None:
        return None
    content = copy_whole(generation / name, copy / name)
    return Table(copy / name, content, shelf)
