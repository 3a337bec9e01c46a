"""Writing articles to the embedded index: rebuild aside, and changes to the live generation."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tantivy import Document, Index, IndexWriter

from service.errors import ConfigurationError, RetrievalUnavailable
from service.records import Article
from service.retrieval.indexes import tantivy_files as files
from service.retrieval.indexes.analysis import FIELDS, PADDING, build_analyzer
from service.retrieval.indexes.loading import IndexBuild, Published
from service.retrieval.indexes.tantivy_copy import check_whole

_HEAP_BYTES = 128_000_000
_PADDING_TERMS = 1_000_000


class TantivyWriter:
    """An `ArticleWriter` over a folder. One process writes at a time; readers go on reading.

    Its methods block: it is for commands, not for the gateway. They raise `ConfigurationError`
    while another process writes, or when the folder cannot be written, and `RetrievalUnavailable`
    where what is to be changed is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def begin(self) -> IndexBuild:
        """Begin a new generation beside the live one."""
        return _Build(self._folder)

    async def upsert(self, articles: Sequence[Article]) -> int:
        """Add or replace articles, searchable on return."""
        with self._change() as (index, writer):
            replaced = sum(_remove(index, writer, article.id) for article in articles)
            for article in articles:
                writer.add_document(_document(article))
        return replaced

    async def delete(self, ids: Sequence[str]) -> int:
        """Remove articles, gone from searches on return."""
        with self._change() as (index, writer):
            return sum(_remove(index, writer, id_) for id_ in dict.fromkeys(ids))

    async def close(self) -> None:
        """Nothing is held between calls."""

    @contextmanager
    def _change(self) -> Iterator[tuple[Index, IndexWriter]]:
        with files.locked(self._folder):
            generation = files.live(self._folder)
            _require_whole(generation)
            index = files.open_generation(generation)
            index.reload()
            with files.whole_change(generation), _writer(index) as writer:
                yield index, writer


class _Build:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = ExitStack()
        self._held.enter_context(files.locked(folder))
        self._target = files.new_folder(folder)
        try:
            with files.written(folder):
                self._index = files.create(self._target)
                self._writer = self._index.writer(_HEAP_BYTES, 1)
        except ConfigurationError:
            self._remove()
            raise
        self._ids: set[str] = set()
        self._lengths = _Lengths()

    async def add(self, articles: Sequence[Article]) -> int:
        replaced = 0
        with files.written(self._folder):
            for article in articles:
                if article.id in self._ids:
                    self._writer.delete_documents_by_term("id", article.id)
                    replaced += 1
                self._ids.add(article.id)
                self._lengths.add(article)
                self._writer.add_document(_document(article))
        return replaced

    async def publish(self) -> Published:
        with files.written(self._folder):
            for document in self._lengths.padding():
                self._writer.add_document(document)
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
            shutil.rmtree(self._target, ignore_errors=True)


class _Lengths:
    """Keeps a field's mean length what Lucene takes it to be: over the articles that have it.

    tantivy divides by the number of all documents. So where some articles lack a field, documents
    of padding make up the terms that are missing. They match no query. Upserts leave them alone:
    the means are exact after a load and drift until the next one.
    """

    def __init__(self) -> None:
        self._analyzer = build_analyzer()
        self._terms: Counter[str] = Counter()
        self._filled: Counter[str] = Counter()
        self._all = 0

    def add(self, article: Article) -> None:
        """Count an article's terms."""
        self._all += 1
        for field in _filled(article):
            self._terms[field] += len(self._analyzer.analyze(getattr(article, field)))
            self._filled[field] += 1

    def padding(self) -> Iterator[Document]:
        """The documents to add."""
        for field, filled in self._filled.items():
            missing = round(self._terms[field] / filled * (self._all - filled))
            for start in range(0, missing, _PADDING_TERMS):
                terms = min(_PADDING_TERMS, missing - start)
                text = f"{PADDING} " * terms
                yield Document(**{field: text, files.FILLED: files.ANY})


def _filled(article: Article) -> list[str]:
    return [field for field, _ in FIELDS if getattr(article, field)]


def _require_whole(generation: Path) -> None:
    """A file that is cut off would end the process in the middle of a change."""
    try:
        check_whole(generation)
    except OSError as error:
        raise RetrievalUnavailable(
            f"the article index in {generation.parent} cannot be read: {error}; mend that, or load "
            "the articles again with `interests index load FILE…`"
        ) from error


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


def _document(article: Article) -> Document:
    return Document(
        **{files.FILLED: [files.ANY, *_filled(article)]},
        id=article.id,
        title=article.title,
        abstract=article.abstract,
        body=article.body,
        category=article.category,
        published=article.published_ms,
        popularity=float(article.popularity),
    )
