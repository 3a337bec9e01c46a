"""An online experiment from end to end, small: invented readers over the API of a real gateway."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from service.manifest import load_manifest
from tests.integration.conftest import interests
from tests.parts.gateway import Gateway, running_gateway
from tests.parts.simulator import simulator

pytestmark = [pytest.mark.redis, pytest.mark.timeout(240)]

READERS, DAYS, DAY_S = 40, 3, 4


@pytest.fixture(scope="module")
def experiments(tmp_path_factory: pytest.TempPathFactory, built_base: Path) -> Path:
    """Three arms: the heuristic, another student, and the one that serves."""
    other = load_manifest(built_base / "student.yaml").key
    arms = [
        {"name": "heuristic", "split": "34%", "student": "heuristic"},
        {"name": "other", "split": "33%", "student": other},
        {"name": "serving", "split": "33%"},
    ]
    experiment = {
        "key": "students",
        "kind": "ab",
        "status": "running",
        "buckets": [0, 9_999],
        "traffic": "100%",
        "arms": arms,
    }
    layers = [{"name": "students", "salt": "worked-example", "experiments": [experiment]}]
    path = tmp_path_factory.mktemp("experiments") / "experiments.yaml"
    path.write_text(yaml.safe_dump({"layers": layers}, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def gateway(
    demo_index: Path, redis_url: str, built_student: Path, built_base: Path, experiments: Path
) -> Iterator[Gateway]:
    students = {"MAIN": built_student / "student.yaml", "BASE": built_base / "student.yaml"}
    keys = {name: load_manifest(path).key for name, path in students.items()}
    with (
        simulator("--model", keys["MAIN"], "--step-ms", "1") as main,
        simulator("--model", keys["BASE"], "--step-ms", "1") as base,
    ):
        settings = {
            "REDIS_URL": redis_url,
            "DEFAULT_STUDENT": "main",
            "EXPERIMENTS_FILE": str(experiments),
        }
        for name, engine in {"MAIN": main, "BASE": base}.items():
            settings[f"STUDENTS__{name}__MANIFEST"] = str(students[name])
            settings[f"STUDENTS__{name}__ENGINES"] = json.dumps([engine.url])
        with running_gateway(demo_index, settings) as running:
            running.wait_for("index")
            running.wait_for("student")
            yield running


def test_readers_come_for_days_and_every_arm_is_told_what_they_did(gateway: Gateway) -> None:
    told = interests(
        *("experiments", "simulate", "--url", gateway.url, "--readers", str(READERS)),
        *("--days", str(DAYS), "--day", str(DAY_S), "--visits", "1.5", "--timeout-ms", "5000"),
        env={},
    )
    counts = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", told)]
    visits, refused, impressions, clicks = counts[:4]
    assert visits > READERS * DAYS
    assert refused == 0
    assert clicks > 0
    assert impressions <= 10 * visits


def test_what_they_did_becomes_a_verdict(
    gateway: Gateway, redis_url: str, experiments: Path, tmp_path: Path
) -> None:
    events, report = tmp_path / "events", tmp_path / "report"
    interests("events", "export", str(events), env={"INTERESTS_REDIS_URL": redis_url})
    told = interests(
        *("experiments", "report", "students", "--events", str(events)),
        *("--experiments", str(experiments), "--day", str(DAY_S), "--out", str(report)),
        env={},
    )
    print(told)
    assert {path.suffix for path in report.iterdir()} >= {".html", ".md", ".json"}
