"""What stands in the embedded index: a document an article, and lengths as Lucene has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tantivy import Document

from service.languages import ENGLISH, Language
from service.records import Article
from service.retrieval.indexes import tantivy_files as files
from service.retrieval.indexes.analysis import FIELDS, PADDING, build_analyzer

_PADDING_TERMS = 1_000_000


def document(article: Article) -> Document:
    """An article, as `tantivy_files.build_schema` has it."""
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


class Lengths:
    """Keeps a field's mean length what Lucene takes it to be: over the articles that have it.

    tantivy divides by the number of all documents. So where some articles lack a field, documents
    of padding make up the terms that are missing. They match no query. Upserts leave them alone:
    the means are exact after a load and drift until the next one.
    """

    def __init__(self, language: Language = ENGLISH) -> None:
        self._analyzer = build_analyzer(language)
        self._terms: Counter[str] = Counter()
        self._filled: Counter[str] = Counter()
        self._all = 0

    def add(self, article: Article) -> None:
        """Count an article's terms."""
        self._all += 1
        for field in _filled(article):
            self._terms[field] += len(self._analyzer.analyze(getattr(article, field)))
            self._filled[field] += 1

    def mean(self) -> dict[str, str]:
        """Fields of a document that leaves the mean lengths as they are, and matches no query."""
        return {
            field: f"{PADDING} " * round(self._terms[field] / filled)
            for field, filled in self._filled.items()
        }

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
