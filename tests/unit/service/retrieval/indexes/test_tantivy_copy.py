"""Files of the embedded index that somebody cuts off, alters or removes."""

from __future__ import annotations

import asyncio
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Event

import pytest

from service.errors import RetrievalUnavailable
from service.records import Article, Filters
from service.retrieval.indexes import loading, tantivy_copy, tantivy_snapshots
from service.retrieval.indexes import tantivy_files as files
from service.retrieval.indexes.tantivy import TantivyIndex
from service.retrieval.indexes.tantivy_copy import private_copy
from service.retrieval.indexes.tantivy_writer import TantivyWriter
from tests.unit.service.retrieval.indexes.vectors import FakeEncoder, encoded, vectors

STORM, CALM = Article("storm", "A storm at sea"), Article("calm", "A calm at sea")
PARTS = ["fast", "fieldnorm", "idx", "pos", "store", "term", "del"]
FILES = [*[f"*.{part}" for part in PARTS], "vectors-*", "meta.json"]


def soon() -> float:
    return asyncio.get_running_loop().time() + 20


async def load(folder: Path, *articles: Article) -> Path:
    """Load the articles and one more, which is removed; the live generation."""
    writer = TantivyWriter(folder)
    rows = [*articles, Article("removed", "sea")]
    await loading.load(writer, rows, encoder=FakeEncoder())
    await writer.delete(["removed"])
    return files.live(folder)


async def ids(index: TantivyIndex) -> list[str]:
    """What is found by words, which is what is found by meaning."""
    asked = encoded("storm calm")
    answer = await index.search(["sea"], 10, Filters(), soon(), asked)
    found = [[hit.id for hit in hits or ()] for hits in (*answer.hits, *answer.near)]
    assert found[0] == found[1]
    return found[0]


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def empty(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(0)


def alter(path: Path) -> None:
    with path.open("r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))


def cut_in_front(path: Path) -> None:
    """The end is there, but not all that was before it."""
    content = path.read_bytes()
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(content[1:])


DAMAGES: list[Callable[[Path], None]] = [cut, empty, alter, cut_in_front, Path.unlink]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "news"


@pytest.fixture
def index(folder: Path) -> Iterator[TantivyIndex]:
    index = TantivyIndex(folder)
    yield index
    asyncio.run(index.close())


def _searched_over_cut_files(folder: Path) -> list[str]:
    """In another process: open, empty every file of the live generation, search."""

    async def work() -> list[str]:
        index = TantivyIndex(folder)
        await index.check(soon())
        for path in files.live(folder).iterdir():
            empty(path)
        found = await ids(index)
        await index.close()
        return found

    return asyncio.run(work())


async def test_a_process_that_searches_outlives_the_files_of_the_live_generation(
    folder: Path,
) -> None:
    await load(folder, STORM)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(_searched_over_cut_files, folder).result() == ["storm"]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", FILES)
async def test_a_damaged_file_is_refused_and_the_line_says_what_to_do(
    folder: Path, index: TantivyIndex, pattern: str, damage: Callable[[Path], None]
) -> None:
    (path,) = (await load(folder, STORM)).glob(pattern)
    damage(path)
    for call in (index.check, index.generation):
        with pytest.raises(RetrievalUnavailable, match=r"interests index load FILE…") as refusal:
            await call(soon())
        assert path.name in str(refusal.value)
        assert "\n" not in str(refusal.value)
    with pytest.raises(RetrievalUnavailable):
        await index.search(["sea"], 10, Filters(), soon())
    with pytest.raises(RetrievalUnavailable, match=r"interests index load FILE…"):
        await TantivyWriter(folder).upsert([CALM], vectors(CALM))
    await load(folder, CALM)
    assert await ids(index) == ["calm"]


async def test_while_the_live_generation_is_damaged_the_one_before_is_searched(
    folder: Path, index: TantivyIndex
) -> None:
    await load(folder, STORM)
    assert await ids(index) == ["storm"]
    (path,) = (await load(folder, CALM)).glob("*.store")
    whole = path.read_bytes()
    cut(path)
    assert await ids(index) == ["storm"]
    with pytest.raises(RetrievalUnavailable, match="is cut off or altered"):
        await index.check(soon())
    path.write_bytes(whole)
    await index.check(soon())
    assert await ids(index) == ["calm"]


async def test_what_was_found_damaged_is_not_read_again_until_it_has_changed(
    folder: Path, index: TantivyIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0

    def counted(generation: Path) -> AbstractContextManager[Path]:
        nonlocal reads
        reads += 1
        return private_copy(generation)

    monkeypatch.setattr(tantivy_snapshots, "private_copy", counted)
    (path,) = (await load(folder, STORM)).glob("*.term")
    cut(path)
    for damage_more, expected in ((False, 1), (False, 1), (True, 2)):
        if damage_more:
            empty(path)
        with pytest.raises(RetrievalUnavailable):
            await index.check(soon())
        assert reads == expected


async def test_a_new_generation_is_opened_by_one_while_the_others_search_the_one_before(
    folder: Path, index: TantivyIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load(folder, STORM)
    assert await ids(index) == ["storm"]
    await load(folder, CALM)
    copying, go_on = Event(), Event()

    @contextmanager
    def slow(generation: Path) -> Iterator[Path]:
        copying.set()
        go_on.wait(20)
        with private_copy(generation) as copy:
            yield copy

    monkeypatch.setattr(tantivy_snapshots, "private_copy", slow)
    first = asyncio.create_task(ids(index))
    try:
        await asyncio.to_thread(copying.wait, 20)
        assert await ids(index) == ["storm"]
    finally:
        go_on.set()
    assert await first == ["calm"]
    assert await ids(index) == ["calm"]


async def test_a_copy_leaves_nothing_behind_and_a_load_removes_what_a_killed_reader_left(
    folder: Path, index: TantivyIndex
) -> None:
    generation = await load(folder, STORM)
    assert await ids(index) == ["storm"]
    assert not list(folder.glob("opening-*"))
    cut(next(generation.glob("*.idx")))
    with pytest.raises(RetrievalUnavailable):
        await TantivyIndex(folder).check(soon())
    assert not list(folder.glob("opening-*"))
    (folder / "opening-killed").mkdir()
    await load(folder, STORM)
    assert not list(folder.glob("opening-*"))


async def test_a_lock_that_is_laid_into_a_copy_while_it_is_emptied_keeps_no_folder_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tantivy's watcher of commits lives a moment longer than the opening that started it."""
    generation = await load(tmp_path, STORM)
    emptied, remove = [], shutil.rmtree

    def first_with_a_lock(folder: Path, **flags: bool) -> None:
        remove(folder, **flags)
        if not emptied:
            folder.mkdir()
            (folder / ".tantivy-meta.lock").touch()
        emptied.append(folder)

    with private_copy(generation) as copy:
        monkeypatch.setattr(tantivy_copy.shutil, "rmtree", first_with_a_lock)
    assert not copy.exists()
    assert len(emptied) == 2


async def test_a_folder_that_can_only_be_read_is_copied_elsewhere(
    folder: Path, index: TantivyIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load(folder, STORM)
    make, elsewhere = tempfile.mkdtemp, tmp_path / "elsewhere"
    elsewhere.mkdir()

    def refusing(prefix: str, **where: Path) -> str:
        if where:
            raise PermissionError(13, "Permission denied", str(where["dir"]))
        return make(prefix=prefix, dir=elsewhere)

    monkeypatch.setattr(tempfile, "mkdtemp", refusing)
    assert await ids(index) == ["storm"]
    assert not list(elsewhere.iterdir())
