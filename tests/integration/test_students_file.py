"""Students of a real gateway, whose file is swapped as Kubernetes does it: nothing is restarted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from service.manifest import MANIFEST, load_manifest
from service.roster import LONGEST_S
from tests.integration.conftest import interests
from tests.parts.gateway import Gateway, running_gateway, wait
from tests.parts.mounted import MountedFiles
from tests.parts.simulator import Simulator, simulator

pytestmark = [pytest.mark.redis, pytest.mark.timeout(180)]

LIVE_S = 2.0
"""In this time another default serves that is in use already."""
FIRST = "Electric ferries"
OK = "interests_students_file_ok"


class Students:
    """Three students, and an engine of each: `next` is version 2 of `base`."""

    def __init__(self, folders: dict[str, Path], engines: dict[str, Simulator]) -> None:
        self.folders = folders
        self.engines = engines
        self.keys = {name: load_manifest(folder).key for name, folder in folders.items()}

    def file(self, default: str, *names: str, **changes: dict[str, Any]) -> str:
        """A file with the students of these names; `changes` are of their fields."""
        students = {
            name: {
                "manifest": str(self.folders[name] / MANIFEST),
                "engines": [self.engines[name].url],
                **changes.get(name, {}),
            }
            for name in names
        }
        return yaml.safe_dump({"default": default, "students": students}, sort_keys=False)


@pytest.fixture(scope="module")
def students(
    tmp_path_factory: pytest.TempPathFactory, built_student: Path, built_base: Path
) -> Iterator[Students]:
    second = tmp_path_factory.mktemp("students") / "2"
    second.mkdir()
    for file in built_base.iterdir():
        if file.name != MANIFEST:
            (second / file.name).symlink_to(file)
    written = yaml.safe_load((built_base / MANIFEST).read_text())
    (second / MANIFEST).write_text(yaml.safe_dump({**written, "version": "2"}))
    folders = {"main": built_student, "base": built_base, "next": second}
    models = {name: load_manifest(folder).key for name, folder in folders.items()}
    with (
        simulator("--model", models["main"], "--step-ms", "2") as main,
        simulator("--model", models["base"], "--step-ms", "2") as base,
        simulator("--model", models["next"], "--step-ms", "2") as second_engine,
    ):
        yield Students(folders, {"main": main, "base": base, "next": second_engine})


@pytest.fixture
def mounted(tmp_path: Path, students: Students) -> MountedFiles:
    files = MountedFiles(tmp_path / "students-mounted")
    files.write(students=students.file("main", "main", "base"))
    return files


@pytest.fixture
def experiments(tmp_path: Path) -> MountedFiles:
    files = MountedFiles(tmp_path / "experiments-mounted")
    files.write(experiments="layers: []\n")
    return files


@pytest.fixture
def settings(redis_url: str, mounted: MountedFiles, experiments: MountedFiles) -> dict[str, str]:
    return {
        "REDIS_URL": redis_url,
        "STUDENTS_FILE": mounted.file("students"),
        "EXPERIMENTS_FILE": experiments.file("experiments"),
    }


@pytest.fixture
def gateway(demo_index: Path, settings: dict[str, str]) -> Iterator[Gateway]:
    with running_gateway(demo_index, settings) as running:
        running.wait_for("index")
        running.wait_for("student")
        yield running


def body(user: str, text: str = FIRST, **more: Any) -> dict[str, Any]:
    at = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    return {"user_id": user, "signals": [{"at": at, "domain": "search", "text": text}], **more}


def served(answer: dict[str, Any]) -> str:
    """Which student wrote an answer."""
    return f"{answer['student']['name']}@{answer['student']['version']}"


def listed(gateway: Gateway) -> dict[str, dict[str, Any]]:
    """What `GET /v1/students` says of those in use, by `name@version`."""
    found = gateway.client.get("/v1/students").json()["students"]
    return {one["key"]: one for one in found if one["in_use"]}


def default(gateway: Gateway) -> str:
    [found] = [key for key, one in listed(gateway).items() if one["default"]]
    return found


def rollout(student: str, status: str = "running") -> str:
    """A file of experiments in which everybody gets this student."""
    experiment = {
        "key": "newer",
        "kind": "rollout",
        "status": status,
        "buckets": [0, 9_999],
        "traffic": "100%",
        "arms": [{"name": "newer", "student": student}],
    }
    layer = {"name": "students", "salt": "s-students", "experiments": [experiment]}
    return yaml.safe_dump({"layers": [layer]}, sort_keys=False)


def place(path: str, text: str, field: str) -> str:
    """`file:line` of a field, the last one of this name; without the line where it is not there."""
    name = field.rpartition(".")[2]
    lines = [
        n for n, line in enumerate(text.splitlines(), 1) if line.strip().startswith(f"{name}:")
    ]
    return f"{path}:{lines[-1]}" if lines else path


class Asking:
    """Asks for users one after the other until the end, and remembers what came of it."""

    def __init__(self, gateway: Gateway) -> None:
        self._url = gateway.url
        self.answers: list[tuple[float, int, str, str]] = []
        """When it was asked for, status, student, and where the queries came from."""
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(3)]

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def served_since(self, moment: float) -> list[str]:
        """Which students wrote the answers that were asked for from this moment on."""
        return [student for asked, _, student, _ in self.answers if asked >= moment]

    def _ask(self, thread: int) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            number = 0
            while not self._ended.is_set():
                number += 1
                text = f"{FIRST} {thread} {number}"  # a list of its own: none is used again
                asked = time.monotonic()
                found = client.post("/v1/interests", json=body(f"reader-{thread}", text))
                answer = found.json()
                self.answers.append(
                    (asked, found.status_code, served(answer), answer["source"]["queries"])
                )


def test_another_default_serves_within_two_seconds_and_no_request_fails(
    gateway: Gateway, mounted: MountedFiles, students: Students
) -> None:
    assert default(gateway) == students.keys["main"]
    with Asking(gateway) as asking:
        for name in ("base", "main", "base"):
            wait(lambda: len(asking.answers) > 20, "they are asked for")
            mounted.write(students=students.file(name, "main", "base"))
            key = students.keys[name]
            wait(lambda key=key: default(gateway) == key, f"{key} is the default", LIVE_S)
            start = time.monotonic()
            wait(lambda start=start: len(asking.served_since(start)) > 20, "they go on")
            assert set(asking.served_since(start)) == {key}
    assert {(status, source) for _, status, _, source in asking.answers} == {(200, "fresh")}
    assert gateway.checks()["student"] == "ok"
    assert gateway.metric(OK) == 1


def test_a_new_version_comes_without_a_restart_and_then_an_arm_may_name_it(
    gateway: Gateway, mounted: MountedFiles, experiments: MountedFiles, students: Students
) -> None:
    key = students.keys["next"]
    experiments.write(experiments=rollout(key))
    told = f"no student is called {key}"
    wait(lambda: told in gateway.log.read_text(), "the arm's student is not there yet")
    with Asking(gateway) as asking:
        mounted.write(students=students.file("main", "main", "base", "next"))
        wait(lambda: key in listed(gateway), f"{key} is in use")
        wait(
            lambda: bool(asking.answers) and asking.answers[-1][2] == key, "the arm is served by it"
        )
    assert {(status, source) for _, status, _, source in asking.answers} == {(200, "fresh")}
    assert gateway.metric("interests_experiments_file_ok") == 1


def test_a_student_is_not_in_use_before_its_engine_answers(
    gateway: Gateway, mounted: MountedFiles, students: Students
) -> None:
    """The default stays what it was for so long, though the file does not name it any more."""
    key, engine = students.keys["next"], students.engines["next"]
    engine.set(fault="error")
    try:
        mounted.write(students=students.file("next", "next"))
        wait(lambda: "by default" in gateway.log.read_text(), "the file was taken")
        wait(lambda: key in str(gateway.client.get("/v1/students").json()), "it is looked after")
        assert list(listed(gateway)) == [students.keys["main"]]
        assert served(gateway.interests("maya")) == students.keys["main"]
        assert gateway.checks()["student"] == "ok"
    finally:
        engine.set(fault="")
    wait(lambda: list(listed(gateway)) == [key], "its engine answers")
    assert served(gateway.interests("maya")) == key


def test_a_student_that_goes_ends_its_calls_and_then_its_series(
    gateway: Gateway, mounted: MountedFiles, students: Students
) -> None:
    key, engine = students.keys["base"], students.engines["base"]
    wait(lambda: listed(gateway)[key]["engines"][0]["state"] == "up", "its engine is up")

    def ask() -> dict[str, Any]:
        more = {"variant": key, "timeout_ms": 25_000}
        found = gateway.client.post("/v1/interests", json=body("long", "a long list", **more))
        assert found.status_code == 200, found.text
        return dict(found.json())

    engine.set(step_ms=150)
    try:
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(ask)
            wait(lambda: engine.running() == 1, "its list is being written")
            mounted.write(students=students.file("main", "main"))
            wait(lambda: key not in listed(gateway), "it is out of use")
            refused = gateway.client.post("/v1/interests", json=body("x", variant=key))
            assert refused.status_code == 422
            assert not asked.done()
            answer = asked.result()
    finally:
        engine.set(step_ms=2)
    assert (served(answer), answer["source"]["queries"]) == (key, "fresh")
    assert answer["degraded"] == []

    def shown() -> bool:
        return f'student="{key}"' in "\n".join(
            line
            for line in gateway.client.get("/metrics").text.splitlines()
            if line.startswith("interests_engine_")
        )

    assert shown()
    wait(lambda: not shown(), "its engine's series end", LONGEST_S + 10)
    assert served(gateway.interests("maya")) == students.keys["main"]


def test_other_settings_of_a_student_are_taken_over(
    gateway: Gateway, mounted: MountedFiles, students: Students
) -> None:
    key = students.keys["main"]
    room = {"name": "interests_engine_room", "student": key}
    with Asking(gateway) as asking:
        changes = {"window": 64, "timeout_ms": 9_000}
        mounted.write(students=students.file("main", "main", "base", main=changes))
        wait(lambda: listed(gateway)[key]["timeout_ms"] == 9_000, "they are in use")
        assert gateway.metric(**room) == 64
        start = len(asking.answers)
        wait(lambda: len(asking.answers) > start + 10, "they go on")
    assert {(status, source) for _, status, _, source in asking.answers} == {(200, "fresh")}


def test_a_file_that_cannot_be_used_is_refused_with_its_line_and_the_last_good_one_goes_on(
    gateway: Gateway,
    mounted: MountedFiles,
    experiments: MountedFiles,
    students: Students,
    tmp_path: Path,
) -> None:
    torn = tmp_path / "torn"
    torn.mkdir()
    for file in students.folders["base"].iterdir():
        (torn / file.name).write_bytes(file.read_bytes())
    (torn / "template.yaml").write_text("torn")
    experiments.write(experiments=rollout(students.keys["base"]))
    user = "maya"
    wait(lambda: served(gateway.interests(user)) == students.keys["base"], "the experiment is live")
    good = students.file("main", "main", "base")
    path = mounted.file("students")
    of_main, of_base = students.keys["main"], students.keys["base"]

    def manifest(path: Path) -> str:
        return students.file("main", "main", "base", base={"manifest": str(path)})

    for bad, field, told in [
        (
            students.file("main", "main", "base", base={"windw": 1}),
            "students.base.windw",
            "is not a field",
        ),
        (manifest(tmp_path / "none.yaml"), "students.base.manifest", "no such student manifest"),
        (manifest(torn / MANIFEST), "students.base.manifest", "template.yaml: sha256 is"),
        (
            manifest(students.folders["main"] / MANIFEST),
            "students.base.manifest",
            f"is {of_main}, as that of main is",
        ),
        (students.file("other", "main", "base"), "default", "no student is called other"),
        (good.replace("default: main\n", ""), "default", "is missing; add it"),
        (students.file("main", "main"), "students", f"{of_base} is gone, but the arm newer"),
    ]:
        mounted.write(students=bad)
        wait(lambda: gateway.metric(OK) == 0, "the metric says that the file is bad")
        log = gateway.log.read_text()
        assert f"{place(path, bad, field)}: {field}: " in log, log[-1_000:]
        assert told in log, log[-1_000:]
        time.sleep(1.2)
        assert gateway.log.read_text().count(told) == log.count(told), "it is said once"
        assert default(gateway) == students.keys["main"]
        assert served(gateway.interests(user)) == students.keys["base"]
        mounted.write(students=good)
        wait(lambda: gateway.metric(OK) == 1, "the metric says that the file is good")
    experiments.write(experiments=rollout(students.keys["base"], "stopped"))
    mounted.write(students=students.file("main", "main"))
    wait(lambda: list(listed(gateway)) == [students.keys["main"]], "a stopped one keeps nothing")


def test_what_is_missing_may_come_later_than_the_file_that_names_it(
    gateway: Gateway, mounted: MountedFiles, students: Students, tmp_path: Path
) -> None:
    folder = tmp_path / "later"
    late = {"manifest": str(folder / MANIFEST)}
    mounted.write(students=students.file("main", "main", "base", "next", next=late))
    wait(lambda: gateway.metric(OK) == 0, "it is not there yet")
    folder.symlink_to(students.folders["next"])
    wait(lambda: students.keys["next"] in listed(gateway), "it has come")
    assert gateway.metric(OK) == 1


def test_the_commands_know_the_file(
    gateway: Gateway, settings: dict[str, str], students: Students, demo_index: Path
) -> None:
    env = {f"INTERESTS_{name}": value for name, value in settings.items()}
    env |= {"INTERESTS_DATA_DIR": str(demo_index), "INTERESTS_PORT": gateway.url.split(":")[-1]}
    said = interests("doctor", "--json", env=env)
    assert f"{students.keys['main']} serves by default" in said
    assert said.count("serves ") >= 3
