"""Getting articles in, by the command, to the real OpenSearch and to the embedded index alike."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from service.protocols import ArticleIndex
from service.records import Filters
from service.retrieval.indexes.analysis import definition
from service.settings import load_settings
from service.wiring import open_index
from tests.parts.command import interests_here
from tests.parts.opensearch import call

pytestmark = pytest.mark.opensearch

SIDES = ("opensearch", "embedded")


class Side:
    """One of the two indexes: the command's environment, and the index to search with."""

    def __init__(self, index: ArticleIndex, environment: dict[str, str], folder: Path) -> None:
        self.index = index
        self.folder = folder
        self._environment = environment

    async def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """`interests index …`."""
        env = self._environment
        return await asyncio.to_thread(interests_here, "index", *words, env=env, stdin=stdin)

    async def doctor(self) -> subprocess.CompletedProcess[str]:
        """`interests doctor --json`."""
        return await asyncio.to_thread(interests_here, "doctor", "--json", env=self._environment)

    async def find(self, text: str) -> list[str]:
        """Ids of the articles found."""
        until = asyncio.get_running_loop().time() + 30
        (hits,) = (await self.index.search([text], 10, Filters(), until)).hits
        return [hit.id for hit in hits or ()]

    async def generation(self) -> str:
        """The index's word."""
        return await self.index.generation(asyncio.get_running_loop().time() + 30)


@pytest.fixture(params=SIDES)
async def side(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Side]:
    environment = {"INTERESTS_DATA_DIR": str(tmp_path / "data")}
    if request.param == "opensearch":
        environment["INTERESTS_OPENSEARCH_URL"] = request.getfixturevalue("opensearch_url")
        environment["INTERESTS_INDEX_NAME"] = request.getfixturevalue("index_name")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    index = open_index(load_settings())
    yield Side(index, environment, tmp_path)
    await index.close()


on_opensearch = pytest.mark.parametrize("side", ["opensearch"], indirect=True)


def line(id_: str, title: str) -> str:
    return json.dumps({"id": id_, "title": title}) + "\n"


async def test_a_load_replaces_the_index_and_reports_what_it_did(side: Side) -> None:
    file = side.folder / "news.jsonl.gz"
    file.write_bytes(gzip.compress((line("1", "Storm") + line("1", "Calm")).encode()))
    done = await side.run("load", str(file))
    assert done.returncode == 0, done.stderr
    assert "loaded 1 article (" in done.stdout
    assert "1 gave way to a later one with the same id" in done.stdout
    assert await side.find("calm") == ["1"]
    before = await side.generation()
    assert (await side.run("load", "-", stdin=line("2", "Calm"))).returncode == 0
    assert await side.find("calm") == ["2"]
    assert await side.generation() != before


async def test_too_many_bad_rows_change_nothing_and_name_file_and_line(side: Side) -> None:
    await side.run("load", "-", stdin=line("1", "Storm"))
    bad = line("2", "Storm") + '{"id": "3"}\n'
    done = await side.run("load", "-", stdin=bad)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "stdin:2: title: must be a text" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert await side.find("storm") == ["1"]
    done = await side.run("load", "-", "--max-errors", "1", stdin=bad)
    assert done.returncode == 0
    assert "passed over stdin:2: title" in done.stderr
    assert await side.find("storm") == ["2"]


async def test_upserts_are_searchable_and_deletions_gone_when_the_command_returns(
    side: Side,
) -> None:
    await side.run("load", "-", stdin=line("1", "Storm") + line("2", "Calm"))
    seen = {await side.generation()}
    done = await side.run("upsert", "-", stdin=line("2", "Storm again") + line("3", "Storm"))
    assert "wrote 2 articles" in done.stdout, done.stderr
    assert await side.find("storm") == ["1", "3", "2"]
    assert await side.find("calm") == []
    seen.add(await side.generation())
    done = await side.run("delete", "1", "-", stdin="3\nnone\n")
    assert "removed 2 of 3" in done.stdout, done.stderr
    assert await side.find("storm") == ["2"]
    seen.add(await side.generation())
    assert len(seen) == 3


async def test_a_change_needs_an_index_that_is_there(side: Side) -> None:
    for done in (
        await side.run("upsert", "-", stdin=line("1", "A")),
        await side.run("delete", "1"),
    ):
        assert done.returncode == 2
        assert "interests index load" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("load", "/none.jsonl"), "cannot read /none.jsonl"),
        (("load", "-", "-"), "can be read once only"),
        (("load", "-", "--published", "soon"), "--published"),
        (("delete", "-"), "no id"),
        (("load", "/dev/null"), "no article"),
    ],
)
async def test_wrong_use_is_one_line_and_exit_code_2(
    side: Side, words: tuple[str, ...], message: str
) -> None:
    done = await side.run(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


async def test_minds_news_get_the_date_that_is_given(side: Side) -> None:
    file = side.folder / "news.tsv"
    file.write_text("N1\tnews\tlocal\tFerry strike\tCrews.\thttps://x\t[]\t[]\n")
    assert (await side.run("load", str(file), "--published", "2026-05-31")).returncode == 0
    until = asyncio.get_running_loop().time() + 30
    for after, count in ((1_780_185_600_000, 1), (1_780_185_600_001, 0)):
        answer = await side.index.search(["ferry"], 5, Filters(after), until)
        assert len(answer.hits[0] or ()) == count


@on_opensearch
async def test_a_failed_load_leaves_no_index_behind(
    opensearch_url: str, index_name: str, side: Side
) -> None:
    await side.run("load", "-", stdin=line("1", "Storm"))

    def indices() -> list[str]:
        return list(call(f"{opensearch_url}/{index_name}-*"))

    before = indices()
    assert (await side.run("load", "-", stdin=line("2", "A") + "nonsense")).returncode == 2
    assert indices() == before
    await side.run("load", "-", stdin=line("2", "A"))
    assert len(indices()) == len(before)


@on_opensearch
async def test_an_index_with_the_aliass_name_is_not_touched(
    opensearch_url: str, index_name: str, side: Side
) -> None:
    call(f"{opensearch_url}/{index_name}", "PUT", {})
    done = await side.run("load", "-", stdin=line("1", "A"))
    assert done.returncode == 2
    assert "an alias of that name is needed" in done.stderr
    assert index_name in call(f"{opensearch_url}/{index_name}")


@on_opensearch
@pytest.mark.parametrize(
    "suffix", ["archive", "mine-1795389123456", "17953891234567", "179538912345"]
)
async def test_an_index_that_no_load_made_is_refused_or_taken_off_the_alias_and_never_deleted(
    opensearch_url: str, index_name: str, side: Side, suffix: str
) -> None:
    theirs = f"{index_name}-{suffix}"
    body = {**definition(), "aliases": {index_name: {}}}
    call(f"{opensearch_url}/{theirs}", "PUT", body)
    document = {"id": "old", "title": "Storm of old"}
    call(f"{opensearch_url}/{theirs}/_doc/old?refresh=true", "PUT", document)
    done = await side.run("load", "-", stdin=line("1", "Storm"))
    assert done.returncode == 2
    assert theirs in done.stderr
    assert "--take-off" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert await side.find("storm") == ["old"]
    assert list(call(f"{opensearch_url}/{index_name}-*")) == [theirs]
    done = await side.run("load", "-", "--take-off", stdin=line("1", "Storm"))
    assert done.returncode == 0, done.stderr
    assert f"taken off the alias {index_name}, and kept: {theirs}" in done.stdout
    assert await side.find("storm") == ["1"]
    assert call(f"{opensearch_url}/{theirs}/_doc/old")["found"] is True
    done = await side.run("load", "-", stdin=line("2", "Storm"))
    assert done.returncode == 0, done.stderr
    assert call(f"{opensearch_url}/{theirs}/_doc/old")["found"] is True


@on_opensearch
async def test_doctor_tells_of_an_article_that_stands_behind_the_alias_twice(
    opensearch_url: str, index_name: str, side: Side
) -> None:
    await side.run("load", "-", stdin=line("1", "Storm"))
    theirs = f"{index_name}-archive"
    call(f"{opensearch_url}/{theirs}", "PUT", {**definition(), "aliases": {index_name: {}}})
    call(f"{opensearch_url}/{theirs}/_doc/1?refresh=true", "PUT", {"id": "1", "title": "Storm"})
    done = await side.doctor()
    found = [part for part in json.loads(done.stdout) if part["part"] == "index"]
    assert [bool(part["remedy"]) for part in found] == [False, True]
    assert "more than once, such as '1'" in found[1]["says"]
    assert done.returncode == 1


async def test_a_copy_of_a_generation_that_somebody_made_by_hand_is_kept(
    tmp_path: Path,
) -> None:
    env = {"INTERESTS_DATA_DIR": str(tmp_path)}

    def load() -> None:
        done = interests_here("index", "load", "-", env=env, stdin=line("1", "Storm"))
        assert done.returncode == 0, done.stderr

    await asyncio.to_thread(load)
    folder = tmp_path / "index" / "news"
    (live,) = folder.glob("generation-*")
    copies = [folder / f"{live.name}.bak", folder / "generation-old", folder / "building-blocks"]
    for copy in copies:
        shutil.copytree(live, copy)
    await asyncio.to_thread(load)
    assert not live.exists()
    assert all(copy.exists() for copy in copies)


@pytest.mark.parametrize("limit", [100, 400, 1_000, 30_000, 300_000])
def test_a_disk_that_is_full_is_one_line_and_leaves_the_live_index_and_no_files(
    tmp_path: Path, limit: int
) -> None:
    """No file may grow beyond `limit` bytes: writing fails as on a full disk, sooner or later."""
    env = {"INTERESTS_DATA_DIR": str(tmp_path)}
    assert interests_here("index", "load", "-", env=env, stdin=line("1", "Storm")).returncode == 0
    folder = tmp_path / "index" / "news"
    before = files_in(folder)
    rng = random.Random(1)
    words = [f"word{number}" for number in range(20_000)]
    many = "".join(line(str(id_), " ".join(rng.choices(words, k=100))) for id_ in range(2_000))
    for command in ("load", "upsert"):
        done = interests_with_files_up_to(limit, "index", command, "-", env=env, stdin=many)
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert "cannot be written" in done.stderr
        assert "the live index is as it was" in done.stderr
        assert files_in(folder) == before
    done = interests_here("index", "delete", "1", env=env)
    assert "removed 1 of 1" in done.stdout, done.stderr


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def interests_with_files_up_to(
    limit: int, *words: str, env: Mapping[str, str], stdin: str
) -> subprocess.CompletedProcess[str]:
    """`interests …` in a process of its own, in which a write beyond `limit` bytes fails."""
    return subprocess.run(
        [sys.executable, "-m", "service", *words],
        input=stdin,
        text=True,
        capture_output=True,
        env={**os.environ, **env},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        timeout=120,
    )
