"""The popular snapshot: in memory, refreshed, and kept on disk."""

from __future__ import annotations

import logging
from pathlib import Path

import orjson
import pytest

from service.errors import RetrievalUnavailable
from service.records import Filters, Hit
from service.retrieval.popular import PopularSnapshot
from tests.unit.service.retrieval.fakes import FakeIndex, eventually, hit

NOW = 1_800_000_000_000
HOUR = 3_600_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "popular.json"


def ids(hits: tuple[Hit, ...]) -> list[str]:
    return [hit.id for hit in hits]


async def snapshot_of(path: Path, *articles: Hit) -> PopularSnapshot:
    index = FakeIndex()
    index.articles = articles
    snapshot = PopularSnapshot(index, path, 500, 60.0)
    await snapshot.refresh()
    return snapshot


def down() -> FakeIndex:
    index = FakeIndex()
    index.error = RetrievalUnavailable("gone")
    return index


async def test_articles_from_the_future_are_hidden_until_their_date(path: Path):
    dates = {"ahead": NOW + 1, "now": NOW, "hour": NOW - HOUR}
    snapshot = await snapshot_of(
        path, *[hit(name, published_ms=at) for name, at in dates.items()], hit("undated")
    )
    assert ids(snapshot.hits(Filters(None, NOW))) == ["now", "hour", "undated"]
    assert ids(snapshot.hits(Filters(None, NOW + 1)))[0] == "ahead"
    assert ids(snapshot.hits(Filters())) == ["ahead", "now", "hour", "undated"]


async def test_the_oldest_and_those_of_an_unknown_date_are_left_out_where_dates_matter(path: Path):
    snapshot = await snapshot_of(
        path, *[hit(f"n{i}", published_ms=NOW - i * HOUR) for i in range(9)], hit("undated")
    )
    assert ids(snapshot.hits(Filters(NOW - 2 * HOUR, NOW))) == ["n0", "n1", "n2"]


async def test_a_start_without_the_index_answers_from_the_file(path: Path):
    articles = (hit("a", popularity=2.0, category="art", published_ms=NOW), hit("b"))
    await snapshot_of(path, *articles)
    snapshot = PopularSnapshot(down(), path, 500, 60.0)
    await snapshot.start()
    assert snapshot.available
    assert set(snapshot.hits(Filters())) == set(articles)
    await snapshot.stop()


async def test_without_index_and_file_there_is_nothing(path: Path):
    snapshot = PopularSnapshot(down(), path, 500, 60.0)
    await snapshot.start()
    assert not snapshot.available
    assert snapshot.hits(Filters()) == ()
    await snapshot.stop()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\x00garbage",
        b"[1, 2]",
        b"null",
        b'{"version": 1}',
        b'{"version": 1, "articles": [{"id": "a"}]}',
        b'{"version": 1, "articles": ["a"]}',
        b'{"version": 99, "articles": []}',
    ],
)
async def test_a_corrupt_file_costs_a_log_line(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
):
    path.parent.mkdir()
    path.write_bytes(content)
    snapshot = PopularSnapshot(down(), path, 500, 60.0)
    with caplog.at_level(logging.WARNING):
        await snapshot.start()
    assert not snapshot.available
    assert "ignoring" in caplog.text
    await snapshot.stop()


async def test_a_deleted_article_leaves_memory_and_file_when_the_index_has_changed(path: Path):
    index = FakeIndex()
    index.articles = (hit("a"), hit("b"))
    snapshot = PopularSnapshot(index, path, 500, 3600.0)
    await snapshot.start()
    await eventually(lambda: path.exists())
    index.articles = (hit("b"),)
    snapshot.refresh_soon()
    await eventually(lambda: ids(snapshot.hits(Filters())) == ["b"])
    await eventually(lambda: len(orjson.loads(path.read_bytes())["articles"]) == 1)
    await snapshot.stop()


async def test_a_refresh_that_fails_leaves_the_last_articles_in_place(path: Path):
    index = FakeIndex()
    index.articles = (hit("a"),)
    snapshot = PopularSnapshot(index, path, 500, 0.005)
    await snapshot.start()
    await eventually(lambda: snapshot.available)
    for error in (RetrievalUnavailable("gone"), ZeroDivisionError("oops")):
        index.error, index.reads = error, 0
        await eventually(lambda: index.reads > 1)
        assert snapshot.available
    index.error, index.articles = None, (hit("c"),)
    await eventually(lambda: ids(snapshot.hits(Filters())) == ["c"])
    await snapshot.stop()


async def test_a_disk_that_refuses_costs_the_file_and_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    index = FakeIndex()
    index.articles = (hit("a"),)
    snapshot = PopularSnapshot(index, blocked / "popular.json", 500, 0.005)
    await snapshot.start()
    await eventually(lambda: snapshot.available)
    index.articles = (hit("b"),)
    await eventually(lambda: ids(snapshot.hits(Filters())) == ["b"])
    await snapshot.stop()
    assert f"keeping them in {blocked / 'popular.json'} failed" in caplog.text


async def test_an_unchanged_list_is_not_written_again(path: Path):
    snapshot = await snapshot_of(path, hit("a"))
    path.unlink()
    await snapshot.refresh()
    assert not path.exists()


async def test_nothing_is_left_beside_the_file(path: Path):
    await snapshot_of(path, hit("a"))
    assert [entry.name for entry in path.parent.iterdir()] == ["popular.json"]
