"""The embedded index: what it finds, in which order, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from service.errors import ConfigurationError, RetrievalTimeout, RetrievalUnavailable
from service.records import Article, Filters, Hit
from service.retrieval.articles import Hits
from service.retrieval.indexes import loading, tantivy
from service.retrieval.indexes import tantivy_files as files
from service.retrieval.indexes.tantivy import TantivyIndex, best
from service.retrieval.indexes.tantivy_snapshots import Snapshot
from service.retrieval.indexes.tantivy_writer import TantivyWriter

ANY = Filters()


def soon(seconds: float = 10.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def load(folder: Path, *articles: Article) -> None:
    await loading.load(TantivyWriter(folder), articles)


async def ids(index: TantivyIndex, text: str, size: int = 10, filters: Filters = ANY) -> list[str]:
    (hits,) = (await index.search([text], size, filters, soon())).hits
    assert hits is not None
    return [hit.id for hit in hits]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "news"


@pytest.fixture
def index(folder: Path) -> Iterator[TantivyIndex]:
    index = TantivyIndex(folder)
    yield index
    asyncio.run(index.close())


async def test_a_word_in_the_title_counts_more_than_in_the_body(
    folder: Path, index: TantivyIndex
) -> None:
    await load(
        folder,
        Article("1", "Calm seas", body="a storm far away"),
        Article("2", "Storm warning", body="calm seas tomorrow"),
        Article("3", "Elections", body="votes counted"),
    )
    assert await ids(index, "storms") == ["2", "1"]


async def test_equal_scores_are_ordered_newest_first_then_by_id_even_when_very_many_tie(
    folder: Path, index: TantivyIndex
) -> None:
    twins = [Article(f"{n:04}", "Storm warning", published_ms=n // 2) for n in range(900)]
    await load(folder, *twins)
    assert await ids(index, "storm", 5) == ["0898", "0899", "0896", "0897", "0894"]


async def test_old_articles_are_filtered_without_a_change_of_score(
    folder: Path, index: TantivyIndex
) -> None:
    await load(
        folder,
        Article("old", "Storm", published_ms=10),
        Article("new", "Storm in the north", published_ms=20),
    )
    everything = await index.search(["storm"], 10, ANY, soon())
    recent = await index.search(["storm"], 10, Filters(published_after_ms=20), soon())
    assert recent.hits[0] == tuple(hit for hit in everything.hits[0] or () if hit.id == "new")


async def test_articles_from_the_future_are_left_out_without_a_change_of_score(
    folder: Path, index: TantivyIndex
) -> None:
    dates = {"undated": 0, "now": 20, "ahead": 21}
    await load(folder, *[Article(id_, "Storm", published_ms=at) for id_, at in dates.items()])
    everything = await index.search(["storm"], 10, ANY, soon())
    shown = await index.search(["storm"], 10, Filters(published_until_ms=20), soon())
    assert shown.hits[0] == tuple(hit for hit in everything.hits[0] or () if hit.id != "ahead")
    both = Filters(published_after_ms=20, published_until_ms=20)
    only = await index.search(["storm"], 10, both, soon())
    assert [hit.id for hit in only.hits[0] or ()] == ["now"]


async def test_a_hit_carries_what_the_fusion_needs(folder: Path, index: TantivyIndex) -> None:
    await load(folder, Article("1", "Storm", category="weather", published_ms=7, popularity=2.5))
    (hits,) = (await index.search(["storm"], 1, ANY, soon())).hits
    assert hits is not None
    assert hits[0].score > 0
    assert hits[0] == Hit("1", "Storm", "weather", 7, 2.5, hits[0].score)


@pytest.mark.parametrize(
    "text",
    ["", "the of and", "title:storm AND (", '"', "\x00", "\ue000", "x" * 100_000, "\U0001f300"],
)
async def test_no_text_is_read_as_syntax(folder: Path, index: TantivyIndex, text: str) -> None:
    await load(folder, Article("1", "Calm", body="quiet"), Article("2", "Quiet night"))
    assert await ids(index, text) == []


@pytest.mark.parametrize("text", ["calm NOT quiet", "+calm -quiet", "calm AND storm", "body: calm"])
async def test_what_would_be_an_operator_is_a_word_or_nothing(
    folder: Path, index: TantivyIndex, text: str
) -> None:
    """Each finds both articles, where a query parser would take one of them away or both."""
    await load(folder, Article("1", "Calm", body="quiet"), Article("2", "Calm quiet night"))
    assert sorted(await ids(index, text)) == ["1", "2"]


async def test_answers_come_in_the_order_of_the_texts(folder: Path, index: TantivyIndex) -> None:
    await load(folder, Article("1", "Storm"), Article("2", "Calm"))
    answer = await index.search(["calm", "nothing", "storm"], 5, ANY, soon())
    assert [[hit.id for hit in hits or ()] for hits in answer.hits] == [["2"], [], ["1"]]
    assert not answer.timed_out


async def test_popular_articles_come_by_popularity_then_newest(
    folder: Path, index: TantivyIndex
) -> None:
    await load(
        folder,
        Article("a", "A", published_ms=1),
        Article("b", "B", published_ms=3),
        Article("c", "C", published_ms=2, popularity=9),
        Article("d", "D", published_ms=2, body="only this one has a body"),
    )
    assert [hit.id for hit in await index.popular(3, soon())] == ["c", "b", "d"]
    assert [hit.id for hit in await index.popular(99, soon())] == ["c", "b", "d", "a"]


async def test_changes_are_found_at_once_and_change_the_generation(
    folder: Path, index: TantivyIndex
) -> None:
    await load(folder, Article("1", "Storm"))
    writer, seen = TantivyWriter(folder), {await index.generation(soon())}
    assert await writer.upsert([Article("1", "Calm"), Article("2", "Calm again")]) == 1
    assert await ids(index, "calm") == ["1", "2"]
    assert await ids(index, "storm") == []
    seen.add(await index.generation(soon()))
    assert await writer.delete(["1", "none"]) == 1
    assert await ids(index, "calm") == ["2"]
    seen.add(await index.generation(soon()))
    await load(folder, Article("3", "Calm"))
    assert await ids(index, "calm") == ["3"]
    seen.add(await index.generation(soon()))
    assert len(seen) == 4
    assert await index.generation(soon()) in seen


async def test_a_missing_index_says_what_to_do(index: TantivyIndex) -> None:
    for call in (index.check, index.generation):
        with pytest.raises(RetrievalUnavailable, match="interests index load"):
            await call(soon())


async def test_an_index_of_another_definition_is_refused(folder: Path, index: TantivyIndex) -> None:
    await load(folder, Article("1", "Storm"))
    (files.live(folder) / "interests.json").write_text("{}")
    with pytest.raises(RetrievalUnavailable, match="another mapping or analysis"):
        await index.check(soon())


async def test_without_time_left_nothing_is_searched(folder: Path, index: TantivyIndex) -> None:
    await load(folder, Article("1", "Storm"))
    with pytest.raises(RetrievalTimeout):
        await index.search(["storm"], 5, ANY, soon(-1))


async def test_texts_that_time_did_not_reach_are_none(
    folder: Path, index: TantivyIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load(folder, Article("1", "Storm"))
    assert await ids(index, "storm") == ["1"]
    over = Event()

    def stuck(snapshot: Snapshot, terms: Mapping[str, int], *rest: Any) -> Hits:
        if "storm" not in terms:
            over.wait()
        return best(snapshot, terms, *rest)

    monkeypatch.setattr(tantivy, "best", stuck)
    try:
        # Enough for the first text on a busy machine: the index is open already.
        answer = await index.search(["storm", "slow", "storm"], 5, ANY, soon(0.5))
    finally:
        over.set()
    assert answer.timed_out
    assert answer.hits[0]
    assert answer.hits[1:] == (None, None)


async def test_a_cancelled_search_leaves_the_index_usable(
    folder: Path, index: TantivyIndex
) -> None:
    await load(folder, Article("1", "Storm"))
    for _ in range(20):
        search = asyncio.create_task(index.search(["storm"] * 50, 5, ANY, soon()))
        await asyncio.sleep(0)
        search.cancel()
    assert await ids(index, "storm") == ["1"]


async def test_two_writers_at_once_are_refused(folder: Path) -> None:
    writer = TantivyWriter(folder)
    build = await writer.begin()
    with pytest.raises(ConfigurationError, match="another process is writing"):
        await writer.begin()
    await build.discard()
    await load(folder, Article("1", "Storm"))


def _read(folder: Path, rounds: int) -> int:
    """In another process: search while generations come and go, until there were several of them;
    returns how often it searched."""

    async def work() -> int:
        index, seen, searches = TantivyIndex(folder), set(), 0
        while searches < rounds or len(seen) < 3:
            seen.add(await index.generation(soon()))
            assert len(await ids(index, "storm")) == 1
            searches += 1
        await index.close()
        return searches

    return asyncio.run(work())


async def test_another_process_finds_whole_indexes_while_loads_replace_them(folder: Path) -> None:
    await load(folder, Article("0", "Storm"))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        reader = pool.apply_async(_read, (folder, 400))
        while not reader.ready():
            await load(folder, Article("1", "Storm"))
        assert reader.get() >= 400


async def test_ids_of_earlier_loads_that_are_too_long_are_not_served_but_counted(
    folder: Path, index: TantivyIndex
) -> None:
    await load(folder, Article("x" * 129, "Storm", popularity=2), Article("1", "Storm"))
    answer = await index.search(["storm"], 10, ANY, soon())
    assert [hit.id for hit in answer.hits[0] or ()] == ["1"]
    assert answer.odd == 1
    assert [hit.id for hit in await index.popular(10, soon())] == ["1"]
