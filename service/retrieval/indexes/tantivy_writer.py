"""Writing articles to the embedded index: rebuild aside, and changes to the live generation."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tantivy import Index, IndexWriter

from service.errors import ConfigurationError, RetrievalUnavailable
from service.languages import ENGLISH, Language
from service.records import Article, Vectors
from service.retrieval.indexes import tantivy_files as files
from service.retrieval.indexes.loading import EncoderOf, IndexBuild, Published, Vector
from service.retrieval.indexes.tantivy_copy import check_whole, remove_uncommitted_deletions
from service.retrieval.indexes.tantivy_documents import Lengths, document
from service.retrieval.indexes.tantivy_rows import ChangedRows, NewRows
from service.retrieval.indexes.tantivy_vectors import (
    Table,
    named,
    open_table,
    remove_others,
    signpost,
)

_HEAP_BYTES = 128_000_000


class TantivyWriter:
    """An `ArticleWriter` over a folder. One process writes at a time; readers go on reading.

    Its methods block: it is for commands, not for the gateway. They raise `ConfigurationError`
    while another process writes, or when the folder cannot be written, and `RetrievalUnavailable`
    where what is to be changed is missing or damaged.
    """

    def __init__(self, folder: Path, *, language: Language = ENGLISH) -> None:
        self._folder = folder
        self._language = language
        self._known: tuple[str, Table | None] | None = None
        """The live commit whose vectors were asked for last, and those."""

    async def begin(self, encoder: EncoderOf | None = None) -> IndexBuild:
        """Begin a new generation beside the live one."""
        return _Build(self._folder, encoder, self._language)

    async def upsert(self, articles: Sequence[Article], vectors: Vectors | None = None) -> int:
        """Add or replace articles, searchable on return.

        Raises `ConfigurationError` where there are vectors and the live index has none, or the
        other way round, and `EncoderUnavailable` where they are not what an encoder gives.
        """
        with self._change() as (index, writer, rows):
            if rows is not None:
                rows.put(articles, vectors)
            else:
                _require_none(vectors)
            replaced = sum(_remove(index, writer, article.id) for article in articles)
            for article in articles:
                writer.add_document(document(article))
        return replaced

    async def delete(self, ids: Sequence[str]) -> int:
        """Remove articles, gone from searches on return."""
        with self._change() as (index, writer, rows):
            if rows is not None:
                rows.remove(ids)
            return sum(_remove(index, writer, id_) for id_ in dict.fromkeys(ids))

    async def encoder(self) -> str:
        """What the live index's vectors are made by; empty where it has none."""
        _, table = _opened(files.live(self._folder), self._language)
        return table.encoder.key if table is not None else ""

    async def known_vectors(self, digests: Sequence[bytes], encoder: str) -> dict[bytes, Vector]:
        """The live index's vectors of texts; empty where it cannot be read."""
        try:
            generation = files.live(self._folder)
            stamp = files.stamp(generation)
            if self._known is None or self._known[0] != stamp:
                self._known = None
                self._known = stamp, _opened(generation, self._language)[1]
        except (RetrievalUnavailable, OSError):
            return {}
        table = self._known[1]
        return table.known(digests) if table is not None and table.encoder.key == encoder else {}

    async def close(self) -> None:
        """Let go of vectors that were asked for."""
        self._known = None

    @contextmanager
    def _change(self) -> Iterator[tuple[Index, IndexWriter, ChangedRows | None]]:
        with files.locked(self._folder):
            generation = files.live(self._folder)
            index, table = _opened(generation, self._language)
            rows = ChangedRows(table) if table is not None else None
            with files.whole_change(generation):
                remove_uncommitted_deletions(generation)
                if table is not None:
                    remove_others(generation, table.name)
                with _writer(index) as writer:
                    yield index, writer, rows
                    if rows is not None and rows.changed:
                        signpost(writer, rows.write(generation), {})
            if table is not None:
                with suppress(OSError, ValueError):  # the change is in; the next one removes it
                    index.reload()
                    remove_others(generation, named(index.searcher()))


class _Build:
    def __init__(self, folder: Path, encoder: EncoderOf | None, language: Language) -> None:
        self._folder = folder
        self._held = ExitStack()
        self._held.enter_context(files.locked(folder))
        self._target = files.new_folder(folder)
        self._rows: NewRows | None = None
        try:
            with files.written(folder):
                self._index = files.create(self._target, language)
                self._writer = self._index.writer(_HEAP_BYTES, 1)
                if encoder is not None:
                    self._rows = NewRows(self._target, encoder)
        except ConfigurationError:
            self._remove()
            raise
        self._ids: set[str] = set()
        self._lengths = Lengths(language)

    async def add(self, articles: Sequence[Article], vectors: Vectors | None = None) -> int:
        replaced = 0
        with files.written(self._folder):
            if self._rows is not None:
                self._rows.put(articles, vectors)
            else:
                _require_none(vectors)
            for article in articles:
                if article.id in self._ids:
                    self._writer.delete_documents_by_term("id", article.id)
                    replaced += 1
                self._ids.add(article.id)
                self._lengths.add(article)
                self._writer.add_document(document(article))
        return replaced

    async def publish(self) -> Published:
        with files.written(self._folder):
            if self._rows is not None:
                signpost(self._writer, self._rows.write(self._target), self._lengths.mean())
            for padding in self._lengths.padding():
                self._writer.add_document(padding)
            self._writer.commit()
            self._writer.wait_merging_threads()
            live = files.make_live(self._folder, self._target)
        self._held.close()
        return Published(live.name)

    async def discard(self) -> None:
        del self._writer, self._index
        self._remove()

    def _remove(self) -> None:
        with self._held:
            if self._rows is not None:
                self._rows.close()
            shutil.rmtree(self._target, ignore_errors=True)


def _opened(generation: Path, language: Language) -> tuple[Index, Table | None]:
    """A generation, and its vectors if it has some, once all its files have been found whole.

    A file that is cut off would end the process in the middle of a change.
    """
    try:
        check_whole(generation)
        index = files.open_generation(generation, language)
        index.reload()
        return index, open_table(generation, index.searcher())
    except (OSError, ValueError) as error:
        raise RetrievalUnavailable(
            f"the article index in {generation.parent} cannot be read: {error}; mend that, or load "
            "the articles again with `interests index load FILE…`"
        ) from error


def _require_none(vectors: Vectors | None) -> None:
    if vectors is not None:
        raise ConfigurationError("there are vectors, and the index was built without an encoder")


@contextmanager
def _writer(index: Index) -> Iterator[IndexWriter]:
    """A writer that commits at the end, or takes everything back."""
    writer = index.writer(_HEAP_BYTES, 1)
    try:
        yield writer
        writer.commit()
    except BaseException:
        # A writer that could not write cannot take back either; the error that counts is the first.
        with suppress(ValueError):
            writer.rollback()
        raise
    with suppress(ValueError):  # what is committed is in, merged or not
        writer.wait_merging_threads()


def _remove(index: Index, writer: IndexWriter, id_: str) -> bool:
    writer.delete_documents_by_term("id", id_)
    return bool(index.searcher().doc_freq("id", id_))
