"""Loading: complete or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import InvalidInput
from service.records import Article, Filters
from service.retrieval.indexes import loading
from service.retrieval.indexes.tantivy import TantivyIndex
from service.retrieval.indexes.tantivy_writer import TantivyWriter
from service.rows import BadRow, BadRows

BAD = BadRow("news.jsonl", 3, "title", "must be a text that is not empty")


async def found(folder: Path, text: str) -> list[str]:
    index = TantivyIndex(folder)
    until = asyncio.get_running_loop().time() + 10
    (hits,) = (await index.search([text], 10, Filters(), until)).hits
    await index.close()
    return [hit.id for hit in hits or ()]


def entries(folder: Path) -> list[str]:
    return sorted(path.name.split("-")[0] for path in folder.iterdir())


async def test_of_articles_with_one_id_the_last_stays_and_the_rest_is_reported(
    tmp_path: Path,
) -> None:
    articles = [Article("1", f"Version {word}") for word in ("one", "two", "three")]
    report = await loading.load(TantivyWriter(tmp_path), [*articles, Article("2", "Other")])
    assert (report.articles, report.replaced) == (2, 2)
    assert await found(tmp_path, "version") == ["1"]
    assert await found(tmp_path, "three") == ["1"]
    assert await found(tmp_path, "two") == []


async def test_the_count_that_is_told_is_never_over_what_is_in_and_ends_there(
    tmp_path: Path,
) -> None:
    read = 0
    told: list[int] = []

    def rows() -> Iterator[Article | BadRow]:
        nonlocal read
        for number in range(3 * loading.BATCH):
            read += 1
            yield BAD if number % 7 == 0 else Article(str(number % 900), f"Version {number}")

    def tell(more: int) -> None:
        told.append(more)
        assert 0 <= sum(told) <= read

    report = await loading.load(
        TantivyWriter(tmp_path), rows(), BadRows(loading.BATCH), on_progress=tell
    )
    assert len(told) > 1
    assert report.replaced
    assert sum(told) == report.articles


async def test_bad_rows_up_to_the_bound_are_reported_and_left_out(tmp_path: Path) -> None:
    seen: list[BadRow] = []
    rows = [BAD, Article("1", "Storm"), BAD]
    report = await loading.load(TantivyWriter(tmp_path), rows, BadRows(2, seen.append))
    assert (report.articles, report.bad, seen) == (1, 2, [BAD, BAD])


async def test_one_bad_row_too_many_leaves_the_live_index_and_the_folder_as_they_were(
    tmp_path: Path,
) -> None:
    writer = TantivyWriter(tmp_path)
    await loading.load(writer, [Article("1", "Storm")])
    before = entries(tmp_path)
    bad = BadRows(1, outcome=loading.NOTHING_CHANGED)
    with pytest.raises(InvalidInput, match=r"news.jsonl:3: title: .* \(bad row 2\); nothing was"):
        await loading.load(writer, [Article("2", "Storm"), BAD, BAD], bad)
    assert await found(tmp_path, "storm") == ["1"]
    assert entries(tmp_path) == before == ["current", "generation", "lock"]


async def test_an_input_without_articles_does_not_empty_the_index(tmp_path: Path) -> None:
    writer = TantivyWriter(tmp_path)
    await loading.load(writer, [Article("1", "Storm")])
    with pytest.raises(InvalidInput, match="no article"):
        await loading.load(writer, [])
    assert await found(tmp_path, "storm") == ["1"]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, asyncio.CancelledError, OSError, ZeroDivisionError]
)
async def test_whatever_stops_a_load_leaves_the_lock_alone_behind_and_that_open(
    tmp_path: Path, error: type[BaseException]
) -> None:
    def interrupted() -> Iterator[Article]:
        yield Article("1", "Storm")
        raise error

    writer = TantivyWriter(tmp_path)
    with pytest.raises(error):
        await loading.load(writer, interrupted())
    assert entries(tmp_path) == ["lock"]
    await loading.load(writer, [Article("1", "Storm")])
    assert await found(tmp_path, "storm") == ["1"]


async def test_what_a_killed_load_left_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "building-1").mkdir()
    await loading.load(TantivyWriter(tmp_path), [Article("1", "Storm")])
    assert entries(tmp_path) == ["current", "generation", "lock"]


async def test_an_upsert_with_too_many_bad_rows_changes_nothing(tmp_path: Path) -> None:
    writer = TantivyWriter(tmp_path)
    await loading.load(writer, [Article("1", "Storm")])
    with pytest.raises(InvalidInput):
        await loading.upsert(writer, [Article("1", "Calm"), BAD])
    assert await found(tmp_path, "storm") == ["1"]
    report = await loading.upsert(
        writer, [Article("1", "A"), Article("1", "Calm"), Article("2", "B")]
    )
    assert (report.articles, report.replaced) == (2, 2)
    assert await found(tmp_path, "calm") == ["1"]
