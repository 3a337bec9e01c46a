"""Exports that are ended half-way: killed, stopped, or by a disk that takes no more."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from service.commands import events
from service.events.export.folder import Form, opened
from service.events.export.report import Totals
from service.events.export.tables import JsonTables
from service.settings import load_settings
from tests.parts.exported_events import rows, segments
from tests.parts.redis import RedisServer
from tests.parts.streams import add, expose, exposure, feedback

pytestmark = pytest.mark.redis

NOW_MS = int(time.time() * 1000) - 600_000
PROCESSES = (40, 41)
KILLS = 50
FORMS = pytest.mark.parametrize("form", ["parquet", "jsonl"])


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis_server.client() as one:
        yield one


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def run(url: str, folder: Path, *words: str) -> None:
    """`interests events export`, in a process of its own."""
    from service.cli import main

    os.environ["INTERESTS_REDIS_URL"] = url
    sys.argv = ["interests", "events", "export", str(folder), *words]
    with Path(os.devnull).open("w") as nowhere:
        sys.stdout = sys.stderr = nowhere
        main()


@contextmanager
def adding(client: redis.Redis, process: int) -> Iterator[list[int]]:
    """Exposures with a click each are added all the while. Yields their numbers."""
    done = threading.Event()
    numbers: list[int] = []

    def on() -> None:
        while not done.is_set():
            number = len(numbers)
            now_ms = int(time.time() * 1000)
            one = exposure(now_ms, number, process=process)
            add(client, "x", one, partition=process % 4)
            add(client, "f", feedback(one, f"e{number}", at=now_ms), partition=process % 4)
            numbers.append(number)
            time.sleep(0.002)

    thread = threading.Thread(target=on)
    thread.start()
    try:
        yield numbers
    finally:
        done.set()
        thread.join()


@FORMS
def test_an_export_that_is_killed_over_and_over_has_every_entry_once(
    redis_server: RedisServer, client: redis.Redis, tmp_path: Path, form: Form
) -> None:
    folder = tmp_path / "events"
    chance = random.Random(form)
    for process in PROCESSES:
        for number in range(3_000):
            one = exposure(NOW_MS + number, number, process=process)
            expose(client, one)
            click = feedback(one, f"e{number}")
            add(client, "f", click, partition=process % 4, at_ms=NOW_MS + number + 20)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "service.commands.events", "pyarrow.parquet"])
    words = ("--format", form, "--segment-entries", "60")

    def start() -> multiprocessing.process.BaseProcess:
        child = context.Process(target=run, args=(redis_server.url, folder, *words))
        child.start()
        return child

    killed = left = 0
    with adding(client, 42) as numbers:
        while killed < KILLS:
            before = names(folder)
            child = start()
            while child.is_alive() and names(folder) <= before:  # it only reads its settings
                time.sleep(0.001)
            child.join(chance.uniform(0.0, 0.08))
            child.kill()
            child.join()
            killed += child.exitcode == -signal.SIGKILL
            left += any(name.startswith(".writing-") for name in names(folder))
            assert child.exitcode in (-signal.SIGKILL, 0)
    assert left > KILLS / 5, "of those that were killed, many wrote a segment"
    time.sleep(1.2)
    last = start()
    last.join()
    assert last.exitcode == 0
    wanted = dict.fromkeys(PROCESSES, 3000) | {42: len(numbers)}
    assert min(wanted.values()) > 0
    seen = [(row["process"], row["sequence"]) for row in rows(folder, "exposures")]
    everything = [(process, n) for process, count in wanted.items() for n in range(count)]
    assert sorted(seen) == everything
    clicks = sorted((row["request_id"], row["event_id"]) for row in rows(folder, "feedback"))
    exposed = {row["request_id"]: row["sequence"] for row in rows(folder, "exposures")}
    assert clicks == sorted((name, f"e{number}") for name, number in exposed.items())
    assert all(row["joined"] for row in rows(folder, "feedback"))
    assert len(segments(folder)) > KILLS


def command(server: RedisServer, folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "service", "events", "export", str(folder), *words]


def environment(server: RedisServer) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("INTERESTS_")}
    return ours | {"INTERESTS_REDIS_URL": server.url}


@FORMS
def test_a_disk_that_is_full_leaves_whole_segments_and_the_next_export_goes_on(
    redis_server: RedisServer, client: redis.Redis, tmp_path: Path, form: Form
) -> None:
    folder = tmp_path / "events"
    long = "x" * 40_000
    queries = [["tents", 1.0, 3, 1, "student"], ["stoves", 0.5, 2, 0, "student"]]
    random_text = random.Random(1)
    for number in range(40):
        if number == 20:  # packs badly, unlike the first ones
            long = random_text.randbytes(40_000).hex()
        one = exposure(NOW_MS + number, number, queries=queries, degraded=[long])
        expose(client, one)
    words = ("--format", form, "--segment-entries", "10")
    limit = 500_000 if form == "jsonl" else 30_000

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        command(redis_server, folder, *words),
        env=environment(redis_server),
        preexec_fn=small_files,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {folder}: cannot be written: File too large; free some room there, or name a "
        "folder that can be written\n"
    )
    assert [row["sequence"] for row in rows(folder, "exposures")] == list(range(20))
    subprocess.run(command(redis_server, folder, *words), env=environment(redis_server), check=True)
    assert [row["sequence"] for row in rows(folder, "exposures")] == list(range(40))


def test_an_export_that_follows_is_ended_by_sigterm_and_says_what_it_did(
    redis_server: RedisServer, client: redis.Redis, tmp_path: Path
) -> None:
    folder = tmp_path / "events"
    expose(client, exposure(NOW_MS, 0))
    process = subprocess.Popen(
        command(redis_server, folder, "--follow", "--format", "jsonl"),
        env=environment(redis_server),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not any(name[0] != "." for name in names(folder)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert "wrote 1 segment of 1 entry" in said
    assert [row["sequence"] for row in rows(folder, "exposures")] == [0]


async def test_following_goes_on_when_redis_comes_back(
    redis_server: RedisServer,
    client: redis.Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(events, "_FOLLOW_S", 0.05)
    monkeypatch.setenv("INTERESTS_REDIS_URL", redis_server.url)

    said = ""

    async def until_said(word: str) -> None:
        nonlocal said
        async with asyncio.timeout(60):
            while word not in said:
                await asyncio.sleep(0.02)
                said += capsys.readouterr().err

    expose(client, exposure(NOW_MS, 0))
    with opened(tmp_path, "jsonl") as folder:
        following = events._rounds(load_settings(), folder, JsonTables, 100, Totals())
        rounds = asyncio.create_task(following)
        await until_said("exported 1 entries, 1 so far")
        redis_server.kill()
        await until_said("trying again in")
        redis_server.start()
        expose(client, exposure(NOW_MS + 1_000, 1))
        await until_said("exported 1 entries, 2 so far")
        rounds.cancel()
        await asyncio.gather(rounds, return_exceptions=True)
    assert [row["sequence"] for row in rows(tmp_path, "exposures")] == [0, 1]
