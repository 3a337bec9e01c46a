"""The embedded index, searched by meaning: what it holds after loads and changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from service.errors import ConfigurationError, EncoderUnavailable, RetrievalUnavailable
from service.records import Article, Encoded, Filters, Hit, IndexAnswer, Vectors
from service.retrieval.articles import Hits
from service.retrieval.indexes import loading, tantivy
from service.retrieval.indexes import tantivy_files as files
from service.retrieval.indexes.loading import EncoderOf, article_text, text_digest
from service.retrieval.indexes.tantivy import TantivyIndex
from service.retrieval.indexes.tantivy_near import nearest
from service.retrieval.indexes.tantivy_writer import TantivyWriter
from tests.unit.service.retrieval.indexes.vectors import ABOUT, FakeEncoder, encoded, vectors

STORM, CALM, VOTE = Article("s", "Storm"), Article("c", "Calm"), Article("v", "Vote")
ANY = Filters()


def soon(seconds: float = 10.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def load(folder: Path, *articles: Article) -> None:
    await loading.load(TantivyWriter(folder), articles, encoder=FakeEncoder())


async def find(
    index: TantivyIndex, *texts: str, size: int = 10, filters: Filters = ANY
) -> IndexAnswer:
    return await index.search(texts, size, filters, soon(), encoded(*texts))


def near_ids(answer: IndexAnswer, least: float = 0.5) -> list[list[str]]:
    """Those that are near, text by text."""
    return [[hit.id for hit in hits if hit.score > least] for hits in answer.near]


def files_of_vectors(folder: Path) -> list[str]:
    return [path.name for path in files.live(folder).glob("vectors*")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "news"


@pytest.fixture
def index(folder: Path) -> Iterator[TantivyIndex]:
    index = TantivyIndex(folder)
    yield index
    asyncio.run(index.close())


async def test_articles_are_found_by_words_and_by_meaning_in_the_order_of_the_texts(
    folder: Path, index: TantivyIndex
) -> None:
    await load(folder, STORM, CALM, VOTE)
    answer = await find(index, "calm", "nothing", "a stormy vote")
    assert answer.encoder == "fake@1"
    assert near_ids(answer) == [["c"], [], ["s", "v"]]
    assert [[hit.id for hit in hits or ()] for hits in answer.hits] == [["c"], [], ["v"]]
    assert not answer.timed_out


async def test_words_are_searched_while_the_texts_are_still_being_encoded(
    folder: Path, index: TantivyIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load(folder, STORM, CALM)
    searched = Event()

    def best(*given: Any) -> Hits:
        searched.set()
        return by_words(*given)

    by_words = tantivy.best
    monkeypatch.setattr(tantivy, "best", best)

    async def encode() -> Encoded:
        assert await asyncio.to_thread(searched.wait, 10)
        return encoded("calm")

    answer = await index.search(["calm"], 10, ANY, soon(), encode())
    assert near_ids(answer) == [["c"]]
    assert [[hit.id for hit in hits or ()] for hits in answer.hits] == [["c"]]
    assert (answer.encoder, answer.timed_out) == ("fake@1", False)


async def test_an_encoding_that_fails_leaves_the_words(folder: Path, index: TantivyIndex) -> None:
    await load(folder, STORM)

    async def fail() -> None:
        await asyncio.sleep(0)

    answer = await index.search(["storm"], 10, ANY, soon(), fail())
    assert [[hit.id for hit in hits or ()] for hits in answer.hits] == [["s"]]
    assert (answer.near, answer.encoder, answer.timed_out) == ((), "fake@1", False)


async def test_an_encoding_that_comes_too_late_leaves_the_words_and_says_so(
    folder: Path, index: TantivyIndex
) -> None:
    await load(folder, STORM)
    until = soon(0.3)

    async def late() -> Encoded:
        await asyncio.sleep(0.4)
        return encoded("storm")

    answer = await index.search(["storm"], 10, ANY, until, late())
    assert [[hit.id for hit in hits or ()] for hits in answer.hits] == [["s"]]
    assert (answer.near, answer.encoder, answer.timed_out) == (((),), "fake@1", True)


async def test_what_was_read_of_a_document_is_read_anew_after_a_change(
    folder: Path, index: TantivyIndex
) -> None:
    await load(folder, STORM)
    for title in ("Storm", "Storm over", "Storm once more"):
        changed = Article("s", title)
        await TantivyWriter(folder).upsert([changed], vectors(changed))
        for _ in range(2):
            answer = await find(index, "storm")
            assert [hit.title for hit in answer.hits[0] or ()] == [title]


async def test_a_near_hit_is_the_article_that_words_find_with_the_cosine_for_a_score(
    folder: Path, index: TantivyIndex
) -> None:
    article = Article("é", "Storm 🌪", category="Wetter", published_ms=7, popularity=2.5)
    await load(folder, article)
    answer = await find(index, "storm")
    assert answer.near == ((Hit("é", "Storm 🌪", "Wetter", 7, 2.5, 1.0),),)
    (by_words,) = answer.hits[0] or ()
    assert answer.near[0][0] == Hit(
        by_words.id,
        by_words.title,
        by_words.category,
        by_words.published_ms,
        by_words.popularity,
        1.0,
    )


async def test_dates_are_filtered_by_meaning_as_by_words(folder: Path, index: TantivyIndex) -> None:
    dates = {"undated": 0, "old": 10, "now": 20, "ahead": 21}
    await load(folder, *[Article(id_, "Storm", published_ms=at) for id_, at in dates.items()])
    for filters in (
        Filters(),
        Filters(published_after_ms=20),
        Filters(published_until_ms=20),
        Filters(10, 20),
        Filters(22, 20),
    ):
        answer = await find(index, "storm", filters=filters)
        by_words = [hit.id for hit in answer.hits[0] or ()]
        assert near_ids(answer) == [by_words]


@pytest.mark.parametrize(
    "given",
    [
        None,
        encoded("storm", key="fake@2"),
        encoded("storm", "calm"),
        Encoded(ABOUT.key, np.ones((1, 9), np.float32)),
    ],
)
async def test_vectors_that_cannot_be_compared_leave_the_words(
    folder: Path, index: TantivyIndex, given: Encoded | None
) -> None:
    await load(folder, STORM)
    answer = await index.search(["storm"], 10, Filters(), soon(), given)
    assert [hit.id for hit in answer.hits[0] or ()] == ["s"]
    assert (answer.near, answer.encoder, answer.timed_out) == ((), "fake@1", False)


async def test_an_index_that_was_built_without_an_encoder_is_searched_by_words(
    folder: Path, index: TantivyIndex
) -> None:
    writer = TantivyWriter(folder)
    await loading.load(writer, [STORM])
    about = (files.live(folder) / "interests.json").read_bytes()
    assert await writer.upsert([CALM]) == 0
    assert await writer.encoder() == ""
    answer = await find(index, "storm", "calm")
    assert [[hit.id for hit in hits or ()] for hits in answer.hits] == [["s"], ["c"]]
    assert (answer.near, answer.encoder) == ((), "")
    assert files_of_vectors(folder) == []
    await load(folder, STORM)
    assert (files.live(folder) / "interests.json").read_bytes() == about


async def test_an_article_without_a_vector_is_found_by_words_and_is_near_to_nothing(
    folder: Path, index: TantivyIndex
) -> None:
    await load(folder, STORM, Article("n", "Nothing known"))
    answer = await find(index, "known storm")
    assert near_ids(answer, least=-2) == [["s"]]
    assert {hit.id for hit in answer.hits[0] or ()} == {"s", "n"}
    await TantivyWriter(folder).upsert([Article("s", "Nothing")], np.zeros((1, 8), np.float32))
    assert (await find(index, "storm")).near == ((),)


async def test_of_articles_with_one_id_the_last_ones_vector_stays(
    folder: Path, index: TantivyIndex
) -> None:
    again = [Article("s", "Calm"), *[Article(str(i), "Vote") for i in range(600)]]
    await load(folder, STORM, *again, Article("0", "Storm"))
    assert near_ids(await find(index, "storm", "calm")) == [["0"], ["s"]]


async def test_changes_are_near_at_once_and_leave_one_file(
    folder: Path, index: TantivyIndex
) -> None:
    await load(folder, STORM, CALM)
    writer = TantivyWriter(folder)
    changed = [Article("s", "Vote"), Article("n", "Storm")]
    assert await writer.upsert(changed, vectors(*changed)) == 1
    assert near_ids(await find(index, "storm", "calm", "vote")) == [["n"], ["c"], ["s"]]
    assert len(files_of_vectors(folder)) == 1
    assert await writer.delete(["n", "none"]) == 1
    assert near_ids(await find(index, "storm", "calm", "vote")) == [[], ["c"], ["s"]]
    before = files_of_vectors(folder)
    assert await writer.delete(["none"]) == 0
    assert files_of_vectors(folder) == before
    assert await writer.encoder() == "fake@1"
    assert await writer.delete(["c", "s"]) == 2
    assert near_ids(await find(index, "storm", "calm", "vote"), least=-2) == [[], [], []]
    await writer.upsert([STORM], vectors(STORM))
    assert near_ids(await find(index, "storm")) == [["s"]]


async def test_the_document_that_names_the_file_is_never_found(
    folder: Path, index: TantivyIndex
) -> None:
    await load(folder, STORM)
    await TantivyWriter(folder).delete(["", "vectors", *files_of_vectors(folder)])
    for text in ("vectors", files_of_vectors(folder)[0], "\ue000", "*"):
        assert (await find(index, text)).hits == ((),)
    assert [hit.id for hit in await index.popular(10, soon())] == ["s"]


async def test_vectors_leave_the_scores_of_words_as_they_are(
    folder: Path, index: TantivyIndex, tmp_path: Path
) -> None:
    articles = [Article(str(i), "storm " * (1 + i % 4), body="vote " * (i % 7)) for i in range(50)]
    await load(folder, *articles)
    await loading.load(TantivyWriter(tmp_path / "bare"), articles)
    bare = TantivyIndex(tmp_path / "bare")
    (one,), (other,) = [(await find(i, "storm vote", size=50)).hits for i in (index, bare)]
    assert [hit.id for hit in one or ()] == [hit.id for hit in other or ()]
    for mine, theirs in zip(one or (), other or (), strict=True):
        assert mine.score == pytest.approx(theirs.score, rel=0.02)
    await bare.close()


async def test_a_text_that_has_not_changed_is_not_encoded_again(folder: Path) -> None:
    writer, encoder = TantivyWriter(folder), FakeEncoder()
    await loading.load(writer, [STORM, CALM], encoder=encoder)
    await loading.load(writer, [STORM, CALM, VOTE], encoder=encoder)
    await loading.upsert(
        writer, [Article("other", "Vote"), Article("s", "Storm 2")], encoder=encoder
    )
    assert encoder.given == ["Storm", "Calm", "Vote", "Storm 2"]


async def test_known_vectors_are_those_of_the_live_index_and_of_the_encoder(folder: Path) -> None:
    writer = TantivyWriter(folder)
    digests = [text_digest(article_text(article)) for article in (STORM, CALM, VOTE)]
    assert await writer.known_vectors(digests, ABOUT.key) == {}
    await load(folder, STORM, CALM)
    known = await writer.known_vectors(digests, ABOUT.key)
    assert {d: v.tolist() for d, v in known.items()} == {
        d: v.tolist() for d, v in zip(digests, vectors(STORM, CALM), strict=False)
    }
    assert await writer.known_vectors(digests, "fake@2") == {}
    await load(folder, VOTE)
    assert list(await writer.known_vectors(digests, ABOUT.key)) == digests[2:]
    (path,) = files.live(folder).glob("vectors-*")
    await writer.close()
    path.write_bytes(path.read_bytes()[:-1])
    assert await writer.known_vectors(digests, ABOUT.key) == {}
    with pytest.raises(RetrievalUnavailable, match="interests index load"):
        await writer.encoder()


WRONG: list[tuple[Vectors | None, type[Exception]]] = [
    (None, ConfigurationError),
    (np.ones((1, 8), np.float32), EncoderUnavailable),
    (np.ones((2, 7), np.float32), EncoderUnavailable),
    (np.full((2, 8), np.nan, np.float32), EncoderUnavailable),
    (np.full((2, 8), np.inf, np.float32), EncoderUnavailable),
]


@pytest.mark.parametrize(("wrong", "error"), WRONG)
async def test_vectors_that_are_none_change_nothing(
    folder: Path, index: TantivyIndex, wrong: Vectors | None, error: type[Exception]
) -> None:
    await load(folder, STORM)
    writer = TantivyWriter(folder)
    with pytest.raises(error):
        await writer.upsert([CALM, VOTE], wrong)
    build = await writer.begin(ABOUT)
    with pytest.raises(error):
        await build.add([CALM, VOTE], wrong)
    await build.discard()
    answer = await find(index, "storm", "calm")
    assert near_ids(answer) == [["s"], []]
    assert [len(hits or ()) for hits in answer.hits] == [1, 0]


async def test_vectors_for_an_index_without_an_encoder_are_refused(folder: Path) -> None:
    writer = TantivyWriter(folder)
    await loading.load(writer, [STORM])
    with pytest.raises(ConfigurationError, match="without an encoder"):
        await writer.upsert([CALM], vectors(CALM))
    build = await writer.begin()
    with pytest.raises(ConfigurationError, match="without an encoder"):
        await build.add([CALM], vectors(CALM))
    await build.discard()


async def test_vectors_of_any_length_are_kept_with_length_one(
    folder: Path, index: TantivyIndex
) -> None:
    build = await TantivyWriter(folder).begin(EncoderOf(ABOUT.key, 8))
    await build.add([STORM, VOTE], vectors(STORM, VOTE) * np.float32(7))
    await build.publish()
    assert [hit.score for hit in (await find(index, "storm")).near[0]] == [1.0, 0.0]


async def test_where_time_ends_before_the_vectors_words_are_answered_and_it_is_said(
    folder: Path, index: TantivyIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load(folder, STORM)
    await find(index, "storm")
    over = Event()

    def stuck(*given: Any) -> tuple[tuple[Hit, ...], ...] | None:
        over.wait()
        return nearest(*given)

    monkeypatch.setattr(tantivy, "nearest", stuck)
    texts = ["storm", "calm"]
    try:
        answer = await index.search(texts, 5, Filters(), soon(0.5), encoded(*texts))
    finally:
        over.set()
    assert [[hit.id for hit in hits or ()] for hits in answer.hits] == [["s"], []]
    assert (answer.near, answer.timed_out) == (((), ()), True)


async def test_ids_of_earlier_loads_that_are_too_long_are_not_near(
    folder: Path, index: TantivyIndex
) -> None:
    await load(folder, Article("x" * 129, "Storm"), STORM)
    answer = await find(index, "storm")
    assert near_ids(answer) == [["s"]]
    assert answer.odd == 2
