"""Shadow arms of a real gateway: what reaches which engine, and when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
import yaml

from service.events.streams import PARTITIONS, stream_key
from service.manifest import load_manifest
from tests.parts.gateway import Gateway, running_gateway, wait
from tests.parts.simulator import Simulator, simulator

pytestmark = [pytest.mark.redis, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def engines(built_student: Path, built_base: Path) -> Iterator[dict[str, Simulator]]:
    model, other = (load_manifest(f / "student.yaml").key for f in (built_student, built_base))
    with (
        simulator("--model", model, "--step-ms", "2") as main,
        simulator("--model", other, "--step-ms", "2") as base,
    ):
        yield {"MAIN": main, "BASE": base}


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory,
    demo_index: Path,
    redis_url: str,
    engines: dict[str, Simulator],
    built_student: Path,
    built_base: Path,
) -> Iterator[Gateway]:
    experiment = {
        "key": "other-in-the-dark",
        "kind": "shadow",
        "status": "running",
        "buckets": [0, 9_999],
        "traffic": "100%",
        "arms": [{"name": "other", "student": load_manifest(built_base / "student.yaml").key}],
    }
    layers = [{"name": "shadows", "salt": "s", "experiments": [experiment]}]
    file = tmp_path_factory.mktemp("experiments") / "experiments.yaml"
    file.write_text(yaml.safe_dump({"layers": layers}))
    settings = {
        "REDIS_URL": redis_url,
        "DEFAULT_STUDENT": "main",
        "EXPERIMENTS_FILE": str(file),
        "STUDENTS__BASE__WINDOW": "4",
    }
    for key, folder in {"MAIN": built_student, "BASE": built_base}.items():
        settings[f"STUDENTS__{key}__MANIFEST"] = str(folder / "student.yaml")
        settings[f"STUDENTS__{key}__ENGINES"] = json.dumps([engines[key].url])
    with running_gateway(demo_index, settings) as running:
        running.wait_for("index")
        running.wait_for("student")
        wait(lambda: all(state == "up" for state in running.engine_states()), "engines are up")
        yield running


def ask(gateway: Gateway, user: str, text: str = "electric ferry battery trial") -> dict[str, Any]:
    at = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    return gateway.interests(user, signals=[{"at": at, "domain": "search", "text": text}])


def outcome(gateway: Gateway, name: str) -> float:
    return gateway.metric("interests_shadow_total", outcome=name)


def shadows_of(redis_url: str, user: str) -> list[dict[str, Any]]:
    """The user's shadows in the streams."""
    with redis.Redis.from_url(redis_url) as client:
        entries = [
            fields
            for number in range(PARTITIONS)
            for _, fields in client.xrange(stream_key(number))
        ]
    objects = [orjson.loads(fields[b"d"]) for fields in entries if fields[b"k"] == b"s"]
    return [one for one in objects if one["user"] == user]


def test_a_shadow_is_written_beside_the_answer_that_was_served(
    gateway: Gateway, redis_url: str, built_base: Path
) -> None:
    answer = ask(gateway, "watched")
    wait(lambda: bool(shadows_of(redis_url, "watched")), "the shadow is in the stream")
    [shadow] = shadows_of(redis_url, "watched")
    assert shadow["id"] == answer["request_id"]
    assert shadow["student"] == load_manifest(built_base / "student.yaml").key
    assert (shadow["key"], shadow["arm"]) == ("other-in-the-dark", "other")
    assert shadow["queries_from"] == "fresh"
    assert shadow["ids"]
    assert answer["experiments"] == []
    assert answer["student"]["name"] != shadow["student"].partition("@")[0]


def test_an_engine_that_is_slow_holds_no_answer_up(
    gateway: Gateway, engines: dict[str, Simulator]
) -> None:
    """The answers are there while their shadows are still being written."""
    engines["BASE"].set(step_ms=400)
    try:
        done = outcome(gateway, "done")
        answers = [ask(gateway, f"slow-{n}", f"a matter of its own {n}") for n in range(3)]
        assert all(answer["source"]["queries"] == "fresh" for answer in answers)
        assert engines["BASE"].running() > 0
        assert outcome(gateway, "done") == done
    finally:
        engines["BASE"].set(step_ms=2)
    wait(lambda: engines["BASE"].running() == 0, "the shadows have ended")


def test_an_engine_whose_window_is_half_full_gets_no_shadow(
    gateway: Gateway, engines: dict[str, Simulator], built_base: Path
) -> None:
    """Requests come first: what shadows may use is what nobody needs."""
    engines["BASE"].set(step_ms=400)
    try:
        before = outcome(gateway, "skipped")
        for number in range(8):
            ask(gateway, f"full-{number}", f"a story of its own {number}")
        wait(lambda: outcome(gateway, "skipped") > before, "some are skipped")
        assert engines["BASE"].running() <= 2, "half of its window of four"
    finally:
        engines["BASE"].set(step_ms=2)
    wait(lambda: engines["BASE"].running() == 0, "the shadows have ended")


def test_a_shadows_dead_engine_changes_nothing(
    gateway: Gateway, engines: dict[str, Simulator]
) -> None:
    engines["BASE"].kill()
    wait(
        lambda: (
            "up" in gateway.engine_states() and not all(s == "up" for s in gateway.engine_states())
        ),
        "dead",
    )
    before = outcome(gateway, "failed") + outcome(gateway, "skipped")
    answer = ask(gateway, "after")
    assert answer["source"] == {"queries": "fresh", "candidates": "search"}
    assert answer["degraded"] == []
    wait(
        lambda: outcome(gateway, "failed") + outcome(gateway, "skipped") == before + 1,
        "it is counted",
    )
