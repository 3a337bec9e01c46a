"""`interests events …` against a real Redis, whose entries are written by hand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import orjson
import pytest
import redis
from pyarrow import parquet

from service.events.streams import stream_key
from tests.parts import streams
from tests.parts.command import interests_here
from tests.parts.redis import RedisServer
from tests.parts.streams import add, expose, exposure, feedback, shadow

pytestmark = pytest.mark.redis

Form = Literal["parquet", "jsonl"]
NOW_MS = int(time.time() * 1000) - 600_000
"""Ten minutes ago: entries of then can be exported at once."""


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis_server.client() as one:
        yield one


def export(
    server: RedisServer, folder: Path, *words: str, form: Form = "jsonl", status: int = 0
) -> str:
    """What an export says."""
    done = interests_here(
        "events", "export", str(folder), "--format", form, *words,
        env={"INTERESTS_REDIS_URL": server.url},
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    """The rows of all segments, in their order."""
    found: list[dict[str, Any]] = []
    for segment in sorted(one for one in folder.iterdir() if one.is_dir()):
        if (path := segment / f"{table}.parquet").is_file():
            found += parquet.read_table(path).to_pylist()
        else:
            found += map(orjson.loads, (segment / f"{table}.jsonl").read_bytes().splitlines())
    return found


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_every_kind_is_exported_and_joined(
    redis_server: RedisServer, client: redis.Redis, tmp_path: Path, form: Form
) -> None:
    one = exposure(NOW_MS, 0)
    expose(client, one)
    add(client, "s", shadow(one), at_ms=NOW_MS + 40)
    add(client, "f", feedback(one, "e1", "a2"), at_ms=NOW_MS + 2_000)
    add(client, "f", feedback(one, "e2", "elsewhere"), at_ms=NOW_MS + 2_000)
    add(client, "e", streams.end(streams.PROCESS, 1, NOW_MS + 3_000), at_ms=NOW_MS + 3_000)
    said = export(redis_server, tmp_path / "out", form=form)
    assert "wrote 1 segment of 5 entries: 1 exposures, 2 of feedback (0 not joined)" in said
    print(said)
    print(rows(tmp_path / "out", "exposures"), rows(tmp_path / "out", "feedback"))
    print(rows(tmp_path / "out", "shadows"), rows(tmp_path / "out", "ends"))
    assert 0
