"""The nearest articles: every one compared, in an order that does not depend on where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.errors import RetrievalUnavailable
from service.records import Article, Filters, Hit, Vectors
from service.retrieval.indexes import tantivy_near
from service.retrieval.indexes.loading import EncoderOf, article_text, text_digest
from service.retrieval.indexes.tantivy_copy import check_file
from service.retrieval.indexes.tantivy_near import nearest
from service.retrieval.indexes.tantivy_vectors import Table, rows_of, write_table

ANY = Filters()
DIRECTIONS = [
    np.array(numbers, np.float32)
    for numbers in (
        (1, 0, 0, 0),
        (0, 1, 0, 0),
        (-1, 0, 0, 0),
        (0.5, 0.5, 0.5, 0.5),
        (0.5, -0.5, 0.5, -0.5),
        (0, 0, 0, 0),
    )
]
"""Their products are exact, so the order is that of the rule and not of rounding."""


def opened(folder: Path, articles: Sequence[Article], vectors: Vectors) -> Table:
    """A table of these articles, written and read."""
    encoder = EncoderOf("fake@1", vectors.shape[1])
    found = [row for row in rows_of(articles, vectors, 0).values() if row]
    name = write_table(folder, encoder, found, vectors.__getitem__)
    return Table(folder / name, check_file(folder / name))


def always() -> bool:
    return True


articles_and_vectors = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(range(len(DIRECTIONS)))), max_size=30
)
bounds = st.none() | st.integers(-1, 5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    corpus=articles_and_vectors,
    asked=st.lists(st.sampled_from(range(len(DIRECTIONS))), min_size=1, max_size=4),
    size=st.integers(1, 7),
    after=bounds,
    until=bounds,
    chunk=st.integers(1, 9),
)
def test_what_is_found_is_what_sorting_all_articles_gives(
    tmp_path: Path,
    corpus: list[tuple[int, int]],
    asked: list[int],
    size: int,
    after: int | None,
    until: int | None,
    chunk: int,
) -> None:
    vectors = np.array([DIRECTIONS[d] for _, d in corpus], np.float32).reshape(len(corpus), 4)
    articles = [
        Article(f"{i:02}", f"Title {i}", category="c", published_ms=at, popularity=i / 2)
        for i, (at, _) in enumerate(corpus)
    ]
    table = opened(tmp_path, articles, vectors)
    texts = np.array([DIRECTIONS[d] for d in asked], np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tantivy_near, "_CHUNK", chunk)
        found = nearest(table, texts, size, Filters(after, until), always)
    expected = []
    for text in texts:
        hits = [
            Hit(a.id, a.title, a.category, a.published_ms, a.popularity, float(text @ vector))
            for a, vector in zip(articles, vectors, strict=True)
            if vector.any()
            and (after is None or a.published_ms >= after)
            and (until is None or a.published_ms <= until)
        ]
        hits.sort(key=lambda hit: (-hit.score, -hit.published_ms, hit.id))
        expected.append(tuple(hits[:size]) if text.any() else ())
    assert found == tuple(expected)


def test_articles_with_one_vector_tie_wherever_they_stand(tmp_path: Path) -> None:
    """A matrix product rounds the rows at its edges otherwise than those in the middle."""
    drawn = np.random.default_rng(1).standard_normal((1, 384)).astype(np.float32)
    vectors = np.repeat(drawn / np.linalg.norm(drawn), 1003, axis=0)
    articles = [Article(f"{i:04}", "Storm", published_ms=i) for i in range(1003)]
    table = opened(tmp_path, articles, vectors)
    for texts in range(1, 18):
        for hits in nearest(table, np.repeat(vectors[:1], texts, axis=0), 5, ANY, always) or ():
            assert [hit.id for hit in hits] == ["1002", "1001", "1000", "0999", "0998"]
            assert {hit.score for hit in hits} == {1.0}


def test_without_time_to_compare_all_nothing_is_found(tmp_path: Path) -> None:
    table = opened(tmp_path, [Article("1", "A")], np.eye(1, 8, dtype=np.float32))
    assert nearest(table, np.eye(1, 8, dtype=np.float32), 5, ANY, lambda: False) is None


texts = st.text(st.characters(codec="utf-8"), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    articles=st.lists(
        st.builds(
            Article,
            id=texts,
            title=texts,
            category=texts,
            abstract=texts,
            published_ms=st.integers(-(2**63), 2**63 - 1),
            popularity=st.floats(0, allow_nan=False, allow_infinity=False),
        ),
        max_size=8,
    )
)
def test_a_file_gives_back_the_last_of_each_article_newest_first(
    tmp_path: Path, articles: list[Article]
) -> None:
    vectors = np.eye(len(articles), 9, dtype=np.float32) + np.float32(0.1)
    table = opened(tmp_path, articles, vectors)
    last = {article.id: (article, place) for place, article in enumerate(articles)}
    expected = sorted(last.values(), key=lambda one: (-one[0].published_ms, one[0].id))
    assert [
        (row.id, row.title, row.category, row.published_ms, row.popularity, row.digest)
        for row in table.rows()
    ] == [
        (a.id, a.title, a.category, a.published_ms, a.popularity, text_digest(article_text(a)))
        for a, _ in expected
    ]
    assert np.array_equal(table.vectors, vectors[[place for _, place in expected]])


@pytest.mark.parametrize(
    "alter",
    [
        lambda line: line.replace(b'"format":1', b'"format":2'),
        lambda line: line.replace(b'"rows":1', b'"rows":2'),
        lambda line: line.replace(b'"rows":1', b'"rows":9'),
        lambda line: line.replace(b'"rows":1', b'"rows":"'),
        lambda line: line.replace(b'"encoder"', b'"another"'),
        lambda line: line.replace(b"{", b"["),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, alter: Any) -> None:
    """Its checksum may fit: another version may have written it."""
    table = opened(tmp_path, [Article("1", "A")], np.eye(1, 8, dtype=np.float32))
    path = tmp_path / table.name
    content = check_file(path)
    path.write_bytes(alter(path.read_bytes()))
    with pytest.raises(RetrievalUnavailable, match=r"vectors-\d+ is cut off or altered"):
        Table(path, content)
