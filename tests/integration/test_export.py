"""`interests events …` against a real Redis, whose entries are written by hand."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from service.events.export.folder import Form, opened
from service.events.streams import stream_key
from tests.parts import streams
from tests.parts.command import interests_here
from tests.parts.exported_events import rows, segments
from tests.parts.redis import RedisClusterParts, RedisServer
from tests.parts.streams import add, expose, exposure, feedback, shadow

pytestmark = pytest.mark.redis

NOW_MS = int(time.time() * 1000) - 600_000
"""Ten minutes ago: entries of then can be exported at once."""
FORMS = pytest.mark.parametrize("form", ["parquet", "jsonl"])


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis_server.client() as one:
        yield one


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "events"


def export(server: RedisServer | RedisClusterParts, folder: Path, *words: str) -> str:
    """What an export says that works."""
    done = events(server, "export", str(folder), *words)
    assert done[0] == 0, done
    return done[1]


def refused(server: RedisServer, folder: Path, *words: str) -> str:
    """The one line that an export says that does not."""
    status, _, said = events(server, "export", str(folder), *words)
    assert status == 2
    assert said.count("\n") == 1
    return said


def events(server: RedisServer | RedisClusterParts, *words: str) -> tuple[int, str, str]:
    """Exit status and what is said, on standard output and standard error."""
    if words[0] == "export" and "--format" not in words:
        words = (*words, "--format", "jsonl")
    done = interests_here("events", *words, env={"INTERESTS_REDIS_URL": server.url})
    return done.returncode, done.stdout, done.stderr


def moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def told(at: object) -> datetime:
    return at if isinstance(at, datetime) else datetime.fromisoformat(str(at))


@FORMS
def test_every_kind_is_exported_with_what_it_is_about(
    redis_server: RedisServer, client: redis.Redis, folder: Path, form: Form
) -> None:
    one = exposure(NOW_MS, 0)
    expose(client, one)
    add(client, "s", shadow(one), at_ms=NOW_MS + 40)
    add(client, "f", feedback(one, "e1", "a1"), at_ms=NOW_MS + 2_000)
    dwell = feedback(one, "e2", "elsewhere", kind="dwell", dwell_ms=900)
    add(client, "f", dwell, at_ms=NOW_MS + 2_000)
    add(client, "e", streams.end(streams.PROCESS, 1, NOW_MS + 3_000), at_ms=NOW_MS + 3_000)
    said = export(redis_server, folder, "--format", form)
    assert "wrote 1 segment of 5 entries: 1 exposures, 2 of feedback (0 not joined)" in said
    (exposed,) = rows(folder, "exposures")
    assert told(exposed.pop("at")) == moment(NOW_MS)
    placements = [
        {
            "key": "small-10",
            "layer": "students",
            "assigned": "control",
            "served": "control",
            "reason": None,
        }
    ]
    queries = [
        {"text": "tents", "weight": 1.0, "hits": 3, "near": 1, "origin": "student"},
        {"text": "stoves", "weight": 0.5, "hits": 2, "near": 0, "origin": "student"},
    ]
    timings = {"signals": 1.5, "generate": 20.0, "retrieve": 9.0, "fuse": 0.5, "total": 31.0}
    common = {
        "request_id": one["id"],
        "user_id": "maya",
        "queries_from": "fresh",
        "candidates_from": "search",
        "degraded": [],
        "queries": queries,
        "timings_ms": timings,
    }
    assert exposed == common | {
        "process": streams.PROCESS,
        "sequence": 0,
        "student": "small@9",
        "coverage_queries": 1.0,
        "coverage_shards": 0.5,
        "placements": placements,
        "candidates": [
            {"id": "a1", "score": 3.0, "matched": [0, 1]},
            {"id": "a2", "score": 2.0, "matched": [0]},
            {"id": "a3", "score": 1.0, "matched": [1]},
        ],
        "signals": {"search": 4, "browse": 0, "purchase": 0, "video": 0, "news": 1},
    }
    click, dwelt = rows(folder, "feedback")
    assert told(click.pop("at")) == told(dwelt.pop("at")) == moment(NOW_MS + 2_000)
    assert told(click.pop("exposed_at")) == told(dwelt.pop("exposed_at")) == moment(NOW_MS)
    joined = {
        "request_id": one["id"],
        "user_id": "maya",
        "joined": True,
        "student": "small@9",
        "placements": placements,
    }
    assert click == joined | {
        "event_id": "e1",
        "kind": "click",
        "article_id": "a1",
        "dwell_ms": None,
        "place": 1,
        "matched": ["tents", "stoves"],
    }
    assert dwelt == joined | {
        "event_id": "e2",
        "kind": "dwell",
        "article_id": "elsewhere",
        "dwell_ms": 900,
        "place": None,
        "matched": [],
    }
    (shadowed,) = rows(folder, "shadows")
    assert told(shadowed.pop("at")) == moment(NOW_MS)
    assert shadowed == common | {
        "key": "small-10-shadow",
        "layer": "students",
        "arm": "shadow",
        "student": "small@10",
        "candidates": [{"id": "a3", "score": 2.0}, {"id": "b1", "score": 1.0}],
        "joined": True,
        "served_student": "small@9",
        "same_first_10": 0.5,
        "same_first_50": 0.5,
    }
    (ended,) = rows(folder, "ends")
    assert told(ended.pop("at")) == moment(NOW_MS + 3_000)
    assert ended == {"process": streams.PROCESS, "sequence": 1}


@FORMS
def test_an_export_goes_on_where_the_last_one_ended(
    redis_server: RedisServer, client: redis.Redis, folder: Path, form: Form
) -> None:
    expose(client, *(exposure(NOW_MS + number, number) for number in range(5)))
    assert "wrote 3 segments of 5 entries" in export(
        redis_server, folder, "--segment-entries", "2", "--format", form
    )
    before = segments(folder)
    assert "wrote 0 segments of 0 entries" in export(redis_server, folder, "--format", form)
    other = exposure(NOW_MS, 0, process=streams.PROCESS + 1)
    expose(client, exposure(NOW_MS + 9, 5), other)
    assert "wrote 2 segments of 2 entries" in export(redis_server, folder, "--format", form)
    assert segments(folder)[: len(before)] == before
    assert [(row["process"], row["sequence"]) for row in rows(folder, "exposures")] == [
        *((streams.PROCESS, number) for number in range(6)),
        (streams.PROCESS + 1, 0),
    ]


def test_entries_of_this_very_second_are_left_for_the_next_export(
    redis_server: RedisServer, client: redis.Redis, folder: Path
) -> None:
    add(client, "x", exposure(NOW_MS, 0))
    assert "wrote 0 segments" in export(redis_server, folder)
    time.sleep(1.1)
    assert "wrote 1 segment" in export(redis_server, folder)


def test_feedback_finds_its_exposure_further_back_and_further_on(
    redis_server: RedisServer, client: redis.Redis, folder: Path
) -> None:
    early, busy, late = (exposure(NOW_MS + 1_000 * n, n) for n in range(3))
    expose(client, early, *(exposure(NOW_MS + 100 + n, n, process=80) for n in range(700)), busy)
    assert "704" not in export(redis_server, folder)
    add(client, "f", feedback(early, "e1"), at_ms=NOW_MS + 1_900)
    add(client, "f", feedback(late, "e2"), at_ms=NOW_MS + 1_990)
    expose(client, late)
    add(client, "f", feedback(busy, "e3"), at_ms=NOW_MS + 400_000)
    said = export(redis_server, folder, "--segment-entries", "1")
    assert "3 of feedback (0 not joined)" in said
    found = {row["event_id"]: told(row["exposed_at"]) for row in rows(folder, "feedback")}
    assert found == {
        "e1": moment(early["at"]),
        "e2": moment(late["at"]),
        "e3": moment(busy["at"]),
    }


def test_feedback_without_an_exposure_is_there_all_the_same(
    redis_server: RedisServer, client: redis.Redis, folder: Path
) -> None:
    known = exposure(NOW_MS, 1)
    expose(client, known)
    add(client, "f", feedback(exposure(NOW_MS, 0), "trimmed"), at_ms=NOW_MS + 2_000)
    add(client, "f", feedback(known, "of another", user="noah"), at_ms=NOW_MS + 2_000)
    add(client, "f", feedback(known, "no id", id="request-7"), at_ms=NOW_MS + 2_000)
    lost = shadow(exposure(NOW_MS, 0))
    add(client, "s", lost, at_ms=NOW_MS + 2_000)
    said = export(redis_server, folder)
    assert "3 of feedback (3 not joined), 1 of shadows (1 not joined)" in said
    for row in rows(folder, "feedback"):
        assert row["joined"] is False
        of_exposure = ("exposed_at", "student", "placements", "place", "matched")
        assert [row[name] for name in of_exposure] == [None] * 5
    (row,) = rows(folder, "shadows")
    assert [row[name] for name in ("joined", "served_student", "same_first_10")] == [
        False,
        None,
        None,
    ]


def test_what_is_not_newer_than_its_users_deletion_is_left_out(
    redis_server: RedisServer, client: redis.Redis, folder: Path
) -> None:
    user = "Zoë/1"
    old, new = exposure(NOW_MS, 0, user), exposure(NOW_MS + 5_000, 1, user)
    other = exposure(NOW_MS + 2, 2, "noah")
    client.set("tomb:{Zo%C3%AB%2F1}", old["at"] + 3_000)
    expose(client, old, other)
    add(client, "s", shadow(old), at_ms=NOW_MS + 30)
    add(client, "f", feedback(old, "before"), at_ms=NOW_MS + 2_000)
    # The reader's clock is ahead: by Redis's this one came before the deletion.
    add(client, "f", feedback(old, "ahead", at=old["at"] + 9_000), at_ms=NOW_MS + 2_500)
    add(client, "f", feedback(old, "after", at=old["at"] + 4_000), at_ms=NOW_MS + 4_000)
    expose(client, new)
    said = export(redis_server, folder)
    assert "left out: 4 entries of deleted users" in said
    assert "0 exposures are missing by their numbers" in said, "they are known to have been there"
    assert [row["sequence"] for row in rows(folder, "exposures")] == [2, 1]
    (row,) = rows(folder, "feedback")
    assert (row["event_id"], row["joined"]) == ("after", False)
    assert rows(folder, "shadows") == []


def test_a_cluster_is_exported_and_knows_deleted_users(
    redis_cluster: RedisClusterParts, folder: Path
) -> None:
    url = redis_cluster.url.replace("redis-cluster", "redis").partition(",")[0]
    tombs = {number: f"tomb:{{user-{number}}}" for number in (2, 5, 6)}
    with redis.RedisCluster.from_url(url) as client:
        try:
            for number in range(8):
                expose(client, exposure(NOW_MS, 0, f"user-{number}", process=number))
            client.set(tombs[2], NOW_MS + 1)
            client.set(tombs[5], NOW_MS)
            client.lpush(tombs[6], "not ours")
            said = export(redis_cluster, folder)
        finally:
            for key in (*tombs.values(), *map(stream_key, range(4))):
                client.delete(key)
    assert "wrote 4 segments of 8 entries: 6 exposures" in said
    assert {row["user_id"] for row in rows(folder, "exposures")} == {
        f"user-{number}" for number in (0, 1, 3, 4, 6, 7)
    }


def test_feedback_that_stands_in_the_stream_twice_is_exported_once(
    redis_server: RedisServer, client: redis.Redis, folder: Path
) -> None:
    one, other = exposure(NOW_MS, 0), exposure(NOW_MS, 1)
    expose(client, one, other)
    for of, event in ((one, "e1"), (one, "e1"), (one, "e2"), (other, "e1")):
        add(client, "f", feedback(of, event), at_ms=NOW_MS + 2_000)
    assert "left out: 1 entry of feedback that came twice" in export(redis_server, folder)
    found = [(row["request_id"], row["event_id"]) for row in rows(folder, "feedback")]
    assert found == [(one["id"], "e1"), (one["id"], "e2"), (other["id"], "e1")]


UNREADABLE: dict[str, tuple[str, dict[str, Any] | bytes, str]] = {
    "no JSON": ("x", b"{oops", "Invalid JSON"),
    "no text": ("f", b'{"v":1,"id":"\xff"}', "Invalid JSON"),
    "no object": ("e", b"[]", "Input should be an object"),
    "another kind": ("z", b"{}", "k: b'z' is no kind of event"),
    "a field is missing": ("e", {"v": 1, "process": 3, "at": 1}, "seq: Field required"),
    "too large": ("e", streams.end(2**32, 1, 1), "process: Input should be less than"),
    "no time": ("x", exposure(NOW_MS, 1) | {"at": 2**60}, "at: Input should be less than"),
    "no version": ("e", streams.end(3, 1, 1) | {"v": "1"}, "v: Input should be 1"),
    "lists differ": ("x", exposure(NOW_MS, 1, scores=[1.0]), "ids, scores and matched differ"),
    "no such query": ("x", exposure(NOW_MS, 1, matched=[[2], [], []]), "matched: names a query"),
    "half a score": ("x", exposure(NOW_MS, 1, scores=[1.0, "2", 0.5]), "scores.1: Input should"),
}


@FORMS
@pytest.mark.parametrize("case", UNREADABLE)
def test_an_entry_nobody_can_read_is_named_and_passed_over(
    redis_server: RedisServer, client: redis.Redis, folder: Path, form: Form, case: str
) -> None:
    kind, given, why = UNREADABLE[case]
    expose(client, exposure(NOW_MS, 0))
    name = add(client, kind, given, at_ms=NOW_MS + 30)
    expose(client, exposure(NOW_MS + 60, 1))
    said = export(redis_server, folder, "--format", form)
    assert "passed over 1 entry that cannot be read:\n" in said
    assert f"events:{{0}} {name}: {why}" in said
    assert [row["sequence"] for row in rows(folder, "exposures")] == [0, 1]
    assert "wrote 0 segments" in export(redis_server, folder, "--format", form)


def test_entries_with_other_fields_are_passed_over(
    redis_server: RedisServer, client: redis.Redis, folder: Path
) -> None:
    client.xadd(stream_key(0), {"k": "x"}, id=f"{NOW_MS}-1")
    client.xadd(stream_key(0), {"d": "{}"}, id=f"{NOW_MS}-2")
    said = export(redis_server, folder)
    assert f"{NOW_MS}-1: the field d is missing" in said
    assert f"{NOW_MS}-2: the field k is missing" in said
    assert "wrote 1 segment of 2 entries: 0 exposures" in said


def test_an_entry_of_a_later_release_ends_the_export_and_is_not_lost(
    redis_server: RedisServer, client: redis.Redis, folder: Path
) -> None:
    expose(client, exposure(NOW_MS, 0))
    name = add(client, "x", exposure(NOW_MS, 1) | {"v": 2}, at_ms=NOW_MS + 30)
    said = refused(redis_server, folder)
    assert f"events:{{0}} {name} is of version 2, and this release reads 1" in said
    assert segments(folder) == []


def test_what_redis_trimmed_before_it_was_exported_is_said(
    redis_server: RedisServer, client: redis.Redis, folder: Path
) -> None:
    expose(client, *(exposure(NOW_MS + number, number) for number in range(2)))
    assert "trimmed" not in export(redis_server, folder)
    expose(client, *(exposure(NOW_MS + number, number) for number in range(2, 9)))
    client.xtrim(stream_key(0), maxlen=3, approximate=False)
    last = exposure(NOW_MS + 100_000, 9)
    expose(client, last)
    said = export(redis_server, folder)
    assert re.search(r"events:\{0\} begins at \d+-\d+, and \d+-\d+ was the last", said)
    assert "4 exposures are missing by their numbers" in said
    assert "wrote 0 segments" in (again := export(redis_server, folder))
    assert "trimmed" not in again


def test_losses_are_told_over_all_segments_of_a_folder(
    redis_server: RedisServer, client: redis.Redis, folder: Path
) -> None:
    def some(process: int, *numbers: int, at_ms: int = NOW_MS) -> None:
        expose(client, *(exposure(at_ms, number, process=process) for number in numbers))

    some(40, 0, 1, 3)  # 2 comes later: nothing is lost
    some(44, 2, 3, 5)
    some(48, 0, 1)
    export(redis_server, folder, "--segment-entries", "3")
    some(40, 2, 4)
    add(client, "e", streams.end(40, 5, NOW_MS), at_ms=NOW_MS + 50)
    add(client, "e", streams.end(48, 4, NOW_MS), at_ms=NOW_MS + 50)
    some(52, 0, 1, 4, at_ms=NOW_MS + 40)
    some(56, 0, 3, at_ms=NOW_MS + 100_000)
    export(redis_server, folder)
    status, said, _ = events(redis_server, "losses", str(folder))
    assert status == 0
    table = [line.split(maxsplit=5) for line in said.splitlines()[2:]]
    assert {row[0]: (*map(int, row[1:5]), row[5][:14]) for row in table} == {
        "44": (3, 2, 1, 0, "no orderly end"),
        "48": (2, 0, 0, 2, "ended in order"),
        "52": (3, 0, 2, 0, "no orderly end"),
    }, "of 56, two may be on their way"
    assert said.startswith("5 processes with 15 exposures; 7 exposures are missing")


def test_a_folder_whose_losses_cannot_be_told_says_why(
    redis_server: RedisServer, client: redis.Redis, folder: Path
) -> None:
    status, _, said = events(redis_server, "losses", str(folder))
    assert (status, said) == (2, f"error: {folder}: cannot be read: No such file or directory\n")
    expose(client, exposure(NOW_MS, 0))
    export(redis_server, folder)
    (summary,) = folder.glob("*/segment.json")
    told = json.loads(summary.read_bytes())
    summary.write_text(json.dumps(told | {"v": 2}))
    status, _, said = events(redis_server, "losses", str(folder))
    assert (status, said) == (
        2,
        f"error: {summary}: is none that `interests events export` writes\n",
    )
    summary.unlink()
    assert events(redis_server, "losses", str(folder))[0] == 2


def test_a_folder_that_cannot_be_used_is_refused_in_words(
    redis_server: RedisServer, client: redis.Redis, tmp_path: Path
) -> None:
    expose(client, exposure(NOW_MS, 0))
    file = tmp_path / "file"
    file.write_text("mine")
    assert f"{file}: cannot be written: File exists" in refused(redis_server, file)
    assert f"{file / 'x'}: cannot be written: Not a directory" in refused(redis_server, file / "x")
    assert "holds file, and no events: name an empty folder" in refused(redis_server, tmp_path)
    assert file.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    other = tmp_path / "other"
    export(redis_server, other)
    assert "has no exposures.parquet: go on with the --format" in refused(
        redis_server, other, "--format", "parquet"
    )
    (other / "notes.txt").write_text("beside segments a file does no harm")
    export(redis_server, other)
    (segment,) = segments(other)
    (other / f"0_1-1_{segment.last}").mkdir()
    assert "overlap: they are of two exports" in refused(redis_server, other)
    (other / f"0_1-1_{segment.last}").rmdir()
    (other / "1_1-1_2-2").write_text("")
    assert "is named as a segment, and no folder" in refused(redis_server, other)


def test_two_exports_into_one_folder_do_not_run_at_once(
    redis_server: RedisServer, folder: Path
) -> None:
    with opened(folder, "jsonl"):
        said = refused(redis_server, folder)
        assert f"another export into {folder} is running" in said
    export(redis_server, folder)


def test_a_redis_that_is_away_is_one_line(redis_server: RedisServer, folder: Path) -> None:
    redis_server.kill()
    assert "Redis failed" in refused(redis_server, folder)
    assert "Redis failed" in refused(redis_server, folder, "--follow")
    assert segments(folder) == []


def test_a_key_of_another_type_in_a_streams_place_is_named(
    redis_server: RedisServer, client: redis.Redis, folder: Path
) -> None:
    expose(client, exposure(NOW_MS, 0))
    client.set(stream_key(2), "not ours")
    said = refused(redis_server, folder)
    assert "events:{2} in Redis is no stream" in said
    assert len(segments(folder)) == 1, "what came before it is whole"
    client.delete(stream_key(2))
    assert "wrote 0 segments" in export(redis_server, folder)


def test_the_rights_that_the_page_lists_are_enough_and_a_missing_one_is_said(
    redis_server: RedisServer, client: redis.Redis, folder: Path
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "exports.md").read_text()
    listed = re.search(r"`(~events:\* [^`]+)`", page)
    assert listed
    rights = listed[1].split()
    expose(client, exposure(NOW_MS, 0))
    url = f"redis://exporter:word@127.0.0.1:{redis_server.port}/0"
    words = ("events", "export", str(folder), "--format", "jsonl")
    for missing in (*rights, ""):
        given = [right for right in rights if right != missing]
        client.execute_command("ACL", "SETUSER", "exporter", "reset", "on", ">word", *given)
        client.script_flush()
        done = interests_here(*words, env={"INTERESTS_REDIS_URL": url})
        assert done.returncode == (2 if missing else 0), (missing, done.stderr)
        assert ("NOPERM" in done.stderr) == bool(missing)
