"""Experiments of a real gateway with two students, whose file is swapped as Kubernetes does it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from service.experiments.hashing import point
from service.manifest import load_manifest
from tests.integration.conftest import interests
from tests.parts.gateway import Gateway, running_gateway, wait
from tests.parts.mounted import MountedFiles
from tests.parts.simulator import Simulator, simulator

pytestmark = [pytest.mark.redis, pytest.mark.timeout(180)]

LIVE_S = 2.0
"""In this time a file that has appeared is in use."""
USERS = [f"reader-{number}" for number in range(12)]


def experiments(other: str, traffic: str, **changes: Any) -> str:
    """A file of two layers: one compares two students, the other two constants."""
    student = {
        "key": "other-student",
        "kind": "ab",
        "status": "running",
        "buckets": [0, 9_999],
        "traffic": traffic,
        "arms": [
            {"name": "control", "split": "50%"},
            {"name": "other", "split": "50%", "student": other},
        ],
    }
    constant = {
        "key": "no-own-signals",
        "kind": "rollout",
        "status": "running",
        "buckets": [0, 9_999],
        "traffic": "100%",
        "arms": [{"name": "none", "retrieval": {"own_signals": 0}}],
    }
    layers = [
        {"name": "students", "salt": "s-students", "experiments": [{**student, **changes}]},
        {"name": "own", "salt": "s-own", "experiments": [constant]},
    ]
    return yaml.safe_dump({"layers": layers}, sort_keys=False)


@pytest.fixture(scope="module")
def engines(built_student: Path, built_base: Path) -> Iterator[dict[str, Simulator]]:
    """By the settings' key of the student that each serves."""
    model, other = (load_manifest(f / "student.yaml").key for f in (built_student, built_base))
    with (
        simulator("--model", model, "--step-ms", "2") as main,
        simulator("--model", other, "--step-ms", "2") as base,
    ):
        yield {"MAIN": main, "BASE": base}


@pytest.fixture(scope="module")
def students(built_student: Path, built_base: Path) -> dict[str, Path]:
    return {"MAIN": built_student / "student.yaml", "BASE": built_base / "student.yaml"}


@pytest.fixture(scope="module")
def other(students: dict[str, Path]) -> str:
    return load_manifest(students["BASE"]).key


@pytest.fixture
def mounted(tmp_path: Path, other: str) -> MountedFiles:
    files = MountedFiles(tmp_path / "mounted")
    files.write(experiments=experiments(other, "0%"))
    return files


@pytest.fixture
def settings(
    redis_url: str,
    engines: dict[str, Simulator],
    students: dict[str, Path],
    mounted: MountedFiles,
) -> dict[str, str]:
    found = {
        "REDIS_URL": redis_url,
        "DEFAULT_STUDENT": "main",
        "EXPERIMENTS_FILE": mounted.file("experiments"),
    }
    for key, path in students.items():
        found[f"STUDENTS__{key}__MANIFEST"] = str(path)
        found[f"STUDENTS__{key}__ENGINES"] = json.dumps([engines[key].url])
    return found


@pytest.fixture
def gateway(demo_index: Path, settings: dict[str, str]) -> Iterator[Gateway]:
    with running_gateway(demo_index, settings) as running:
        running.wait_for("index")
        running.wait_for("student")
        wait(lambda: all(one == "up" for one in running.engine_states()), "engines are up")
        yield running


def ask(gateway: Gateway, user: str, **more: Any) -> dict[str, Any]:
    at = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    signal = {"at": at, "domain": "search", "text": "electric ferry battery trial"}
    return gateway.interests(user, signals=[signal], **more)


def places(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A user's places by the experiment's key."""
    return {place["key"]: place for place in answer["experiments"]}


def arm_of(user: str) -> str:
    """The arm that any other language would reckon, too."""
    return "control" if point("s-students:other-student:arm", user) < 5_000 else "other"


class Asking:
    """Asks for the users in turn until the end, and remembers all answers."""

    def __init__(self, gateway: Gateway) -> None:
        self._url = gateway.url
        self.statuses: list[int] = []
        self.arms: dict[str, set[str]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._ended.is_set():
                user = USERS[len(self.statuses) % len(USERS)]
                answer = client.post("/v1/interests", json={"user_id": user})
                self.statuses.append(answer.status_code)
                if place := places(answer.json()).get("other-student"):
                    self.arms.setdefault(user, set()).add(place["assigned"])


def test_a_swapped_file_is_live_within_two_seconds_and_no_request_fails(
    gateway: Gateway, mounted: MountedFiles, other: str
) -> None:
    assert "other-student" not in places(ask(gateway, USERS[0]))
    with Asking(gateway) as asking:
        for traffic in ("50%", "100%"):
            mounted.write(experiments=experiments(other, traffic))
            share = float(traffic.rstrip("%")) / 100

            def taken(share: float = share) -> bool:
                found = gateway.client.get("/v1/experiments").json()["experiments"]
                return bool(found[0]["traffic"] == share)

            wait(taken, f"traffic is {traffic}", LIVE_S)
            before = len(asking.statuses)
            wait(lambda before=before: len(asking.statuses) > before + 20, "they go on")
        wait(lambda: len(asking.arms) == len(USERS), "all are enrolled")
    assert set(asking.statuses) == {200}
    assert asking.arms == {user: {arm_of(user)} for user in USERS}


def test_each_arm_is_served_by_its_own_student_and_its_constants(
    gateway: Gateway, mounted: MountedFiles, other: str
) -> None:
    mounted.write(experiments=experiments(other, "100%"))
    wait(lambda: "other-student" in places(ask(gateway, USERS[0])), "the file is live")
    seen = set()
    for user in USERS:
        answer = ask(gateway, user)
        place = places(answer)["other-student"]
        served = f"{answer['student']['name']}@{answer['student']['version']}"
        assert place["assigned"] == place["served"] == arm_of(user)
        assert place["reason"] is None
        assert (served == other) == (arm_of(user) == "other")
        assert places(answer)["no-own-signals"]["served"] == "none"
        assert "signal" not in {query["origin"] for query in answer["queries"]}
        seen.add(place["assigned"])
    assert seen == {"control", "other"}
    name = "interests_experiment_assigned_total"
    assert gateway.metric(name, experiment="other-student", arm="other", served="other") > 0


def test_a_bad_file_is_refused_and_the_last_good_one_goes_on(
    gateway: Gateway, mounted: MountedFiles, other: str
) -> None:
    def ok() -> bool:
        return gateway.metric("interests_experiments_file_ok") == 1

    def placed() -> bool:
        return "other-student" in places(ask(gateway, USERS[0]))

    mounted.write(experiments=experiments(other, "100%"))
    wait(placed, "the file is live")
    split = [
        {"name": "control", "split": "40%"},
        {"name": "other", "split": "60%", "student": other},
    ]
    with Asking(gateway) as asking:
        for bad, told in (
            (experiments("nobody@1", "100%"), "no student is called nobody@1"),
            (experiments(other, "0%", arms=split), "split: was 50%"),
        ):
            mounted.write(experiments=bad)
            wait(lambda: not ok(), "the metric says that the file is bad")
            assert placed()
            assert gateway.client.get("/v1/experiments").json()["file_ok"] is False
            assert told in gateway.log.read_text()
            mounted.write(experiments=experiments(other, "100%"))
            wait(ok, "the metric says that the file is good")
    assert set(asking.statuses) == {200}


def test_what_was_not_served_as_assigned_is_said_with_its_reason(
    gateway: Gateway,
    mounted: MountedFiles,
    engines: dict[str, Simulator],
    students: dict[str, Path],
    other: str,
) -> None:
    everyone = dict.fromkeys(USERS, "other")
    mounted.write(experiments=experiments(other, "100%", allowlist=everyone))
    wait(lambda: "other-student" in places(ask(gateway, USERS[0])), "the file is live")
    main = load_manifest(students["MAIN"]).key
    overridden = places(ask(gateway, USERS[0], variant=main))
    place = overridden["other-student"]
    assert (place["assigned"], place["served"]) == ("other", f"student:{main}")
    assert place["reason"] == "override"
    assert overridden["no-own-signals"]["served"] == "none"
    engines["BASE"].set(fault="error")
    try:
        answer = ask(gateway, USERS[1])
    finally:
        engines["BASE"].set(fault="")
    place = places(answer)["other-student"]
    assert (place["assigned"], place["served"]) == ("other", "queries:heuristic")
    assert place["reason"] in answer["degraded"]
    assert answer["source"]["queries"] == "heuristic"


def test_the_commands_say_what_a_gateway_with_these_settings_does(
    gateway: Gateway, mounted: MountedFiles, settings: dict[str, str], other: str
) -> None:
    mounted.write(experiments=experiments(other, "100%"))
    env = {f"INTERESTS_{name}": value for name, value in settings.items()}
    wait(lambda: "other-student" in places(ask(gateway, USERS[0])), "the file is live")
    for user in USERS[:3]:
        said = interests("experiments", "show", user, env=env).splitlines()
        assert said == [f"students: other-student: {arm_of(user)}", "own: no-own-signals: none"]
