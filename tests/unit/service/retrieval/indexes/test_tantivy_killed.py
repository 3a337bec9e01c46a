"""Loads and changes that are killed or fail: words and vectors are those of one commit, always."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.errors import ConfigurationError
from service.records import Article, Filters
from service.retrieval.indexes import loading, tantivy_rows, tantivy_vectors, tantivy_writer
from service.retrieval.indexes import tantivy_files as files
from service.retrieval.indexes.tantivy import TantivyIndex
from service.retrieval.indexes.tantivy_writer import TantivyWriter
from tests.unit.service.retrieval.indexes.vectors import FakeEncoder, encoded, vectors

SPAWN = multiprocessing.get_context("spawn")
OLD, NEW = Article("1", "Storm of old"), Article("1", "Storm anew")
TITLES = {"Storm of old", "Storm anew"}


async def load(folder: Path, *articles: Article) -> None:
    await loading.load(TantivyWriter(folder), articles, encoder=FakeEncoder())


async def upsert(folder: Path, *articles: Article) -> None:
    await TantivyWriter(folder).upsert(articles, vectors(*articles))


async def delete(folder: Path, *articles: Article) -> None:
    await TantivyWriter(folder).delete([article.id for article in articles])


async def titles(index: TantivyIndex) -> set[str]:
    """What is found, by words and by meaning alike."""
    until = asyncio.get_running_loop().time() + 20
    answer = await index.search(["storm"], 10, Filters(), until, encoded("storm"))
    by_words, by_meaning = [
        {hit.title for hit in hits or ()} for hits in (*answer.hits, *answer.near)
    ]
    assert by_words == by_meaning
    return by_words


async def live(folder: Path) -> set[str]:
    index = TantivyIndex(folder)
    try:
        return await titles(index)
    finally:
        await index.close()


def end(*given: Any) -> Any:
    """As a kill does: nothing is flushed, nothing tidied up."""
    os._exit(9)


def fail(*given: Any) -> Any:
    raise OSError(28, "No space left on device")


def interrupt(*given: Any) -> Any:
    raise KeyboardInterrupt


def before_commit(stop: Callable[..., Any]) -> Callable[..., Any]:
    whole = tantivy_writer._writer

    @contextmanager
    def stopped(index: Any) -> Iterator[Any]:
        with whole(index) as writer:
            yield writer
            stop()

    return stopped


def once_written(stop: Callable[..., Any]) -> Callable[..., Any]:
    """Stop when a file of vectors is there and tantivy has not been told of it."""
    whole = tantivy_rows.write_table

    def stopped(*given: Any) -> str:
        whole(*given)
        return str(stop())

    return stopped


def last_removal(stop: Callable[..., Any]) -> Callable[..., Any]:
    """Stop when the change is in and the file before is still there."""
    whole, calls = tantivy_writer.remove_others, 0

    def stopped(*given: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            stop()
        whole(*given)

    return stopped


Stops = dict[str, tuple[Any, str, Callable[[Callable[..., Any]], Callable[..., Any]]]]
BEFORE: Stops = {
    "while the vectors are written": (tantivy_vectors, "end_of_file", lambda stop: stop),
    "once they are written": (tantivy_rows, "write_table", once_written),
    "before tantivy is told of them": (tantivy_writer, "signpost", lambda stop: stop),
    "before the commit": (tantivy_writer, "_writer", before_commit),
}
AFTER: Stops = {"once the change is in": (tantivy_writer, "remove_others", last_removal)}
LOADING: Stops = {
    "while the vectors are written": BEFORE["while the vectors are written"],
    "once they are written": BEFORE["once they are written"],
    "before the switch": (files, "make_live", lambda stop: stop),
}


def killed(work: Callable[..., Any], stops: str, point: str, *given: Any) -> None:
    child = SPAWN.Process(target=_until_killed, args=(work.__name__, stops, point, *given))
    child.start()
    child.join()
    assert child.exitcode == 9


def _until_killed(work: str, stops: str, point: str, *given: Any) -> None:
    """In another process, which is told names: what they stand for cannot be sent there."""
    module, name, made = globals()[stops][point]
    setattr(module, name, made(end))
    asyncio.run(globals()[work](*given))


def files_of_vectors(folder: Path) -> list[str]:
    return [path.name for path in files.live(folder).glob("vectors*")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "news"


@pytest.mark.parametrize("work", [upsert, delete])
@pytest.mark.parametrize("point", BEFORE)
async def test_a_change_that_is_killed_before_it_is_in_changes_nothing(
    folder: Path, point: str, work: Callable[..., Any]
) -> None:
    await load(folder, OLD)
    killed(work, "BEFORE", point, folder, NEW)
    assert await live(folder) == {OLD.title}
    await upsert(folder, NEW)
    assert await live(folder) == {NEW.title}
    assert len(files_of_vectors(folder)) == 1


async def test_a_change_that_is_killed_once_it_is_in_is_whole(folder: Path) -> None:
    await load(folder, OLD)
    killed(upsert, "AFTER", *AFTER, folder, NEW)
    assert await live(folder) == {NEW.title}
    await delete(folder, NEW)
    assert await live(folder) == set()
    assert len(files_of_vectors(folder)) == 1


@pytest.mark.parametrize("point", LOADING)
async def test_a_load_that_is_killed_leaves_the_live_index(folder: Path, point: str) -> None:
    await load(folder, OLD)
    killed(load, "LOADING", point, folder, NEW)
    assert await live(folder) == {OLD.title}
    await load(folder, NEW)
    assert await live(folder) == {NEW.title}
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize(
    ("stop", "error"), [(fail, ConfigurationError), (interrupt, KeyboardInterrupt)]
)
@pytest.mark.parametrize("point", BEFORE)
async def test_a_change_that_fails_leaves_no_file(
    folder: Path,
    point: str,
    stop: Callable[..., Any],
    error: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await load(folder, OLD)
    before = files_of_vectors(folder)
    module, name, made = BEFORE[point]
    with monkeypatch.context() as patch:
        patch.setattr(module, name, made(stop))
        with pytest.raises(error):
            await upsert(folder, NEW)
    assert files_of_vectors(folder) == before
    assert await live(folder) == {OLD.title}


@pytest.mark.parametrize(
    ("stop", "error"), [(fail, ConfigurationError), (interrupt, KeyboardInterrupt)]
)
@pytest.mark.parametrize("point", LOADING)
async def test_a_load_that_fails_leaves_nothing_behind(
    folder: Path,
    point: str,
    stop: Callable[..., Any],
    error: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await load(folder, OLD)
    module, name, made = LOADING[point]
    with monkeypatch.context() as patch:
        patch.setattr(module, name, made(stop))
        with pytest.raises(error):
            await load(folder, NEW)
    assert await live(folder) == {OLD.title}
    assert len(list(folder.iterdir())) == 3


def _change_for_ever(folder: Path) -> None:
    async def work() -> None:
        while True:
            for article in (NEW, OLD):
                await upsert(folder, article)

    asyncio.run(work())


async def test_what_a_killed_change_wrote_of_its_deletions_is_in_nobodys_way(folder: Path) -> None:
    """The next change gives its own the same name, and tantivy writes over no file."""
    await load(folder, OLD, Article("2", "Storm elsewhere"))
    elsewhere = folder.with_name("elsewhere")
    shutil.copytree(folder, elsewhere, symlinks=True)
    await upsert(elsewhere, NEW)
    (written,) = files.live(elsewhere).glob("*.del")
    (files.live(folder) / written.name).write_bytes(b"cut off")
    await upsert(folder, NEW)
    assert await live(folder) == await live(elsewhere)


async def test_kills_at_any_moment_leave_one_of_the_two_states(folder: Path) -> None:
    await load(folder, OLD)
    rng = random.Random(5)
    for _ in range(6):
        child = SPAWN.Process(target=_change_for_ever, args=(folder,))
        before = files.stamp(files.live(folder))
        child.start()
        while files.stamp(files.live(folder)) == before:
            assert child.is_alive(), f"it ended by itself, with {child.exitcode}"
            await asyncio.sleep(0.01)
        await asyncio.sleep(rng.uniform(0, 0.2))
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        assert len(await live(folder) & TITLES) == 1
    await upsert(folder, NEW)
    assert await live(folder) == {NEW.title}
    assert len(files_of_vectors(folder)) == 1


def _read(folder: Path) -> int:
    """In another process: search until both states were seen often; returns how often."""

    async def work() -> int:
        index, seen, searches = TantivyIndex(folder), [set[str]()], 0
        while len(seen) < 12:
            found = await titles(index)
            searches += 1
            assert len(found & TITLES) == 1
            if found != seen[-1]:
                seen.append(found)
        await index.close()
        return searches

    return asyncio.run(work())


async def test_a_reader_finds_words_and_vectors_of_one_commit_while_changes_go_on(
    folder: Path,
) -> None:
    await load(folder, OLD)
    with SPAWN.Pool(1) as pool:
        reader = pool.apply_async(_read, (folder,))
        while not reader.ready():
            for article in (NEW, OLD):
                await upsert(folder, article)
        assert reader.get() >= 12
