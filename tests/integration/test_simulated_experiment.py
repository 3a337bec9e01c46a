"""An online experiment from end to end, small: invented readers over the API of a real gateway."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
import yaml

from service.manifest import load_manifest
from tests.integration.conftest import interests
from tests.parts.gateway import Gateway, running_gateway
from tests.parts.simulator import Simulator, simulator

pytestmark = [pytest.mark.redis, pytest.mark.timeout(240)]

READERS, DAYS, DAY_S = 40, 3, 4
ARMS = ("heuristic", "other", "serving")


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
        "key": "worked-example",
        "kind": "ab",
        "status": "running",
        "buckets": [0, 9_999],
        "traffic": "100%",
        "guard": {"sample_ratio": True, "degraded": "50%"},
        "arms": arms,
    }
    layers = [{"name": "students", "salt": "worked-example", "experiments": [experiment]}]
    path = tmp_path_factory.mktemp("experiments") / "experiments.yaml"
    path.write_text(yaml.safe_dump({"layers": layers}, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def engines(built_student: Path, built_base: Path) -> Iterator[dict[Path, Simulator]]:
    """An engine for each student, by its folder; the first serves by default."""
    names = [load_manifest(folder / "student.yaml").key for folder in (built_student, built_base)]
    with (
        simulator("--model", names[0], "--step-ms", "1") as main,
        simulator("--model", names[1], "--step-ms", "1") as base,
    ):
        yield {built_student: main, built_base: base}


@pytest.fixture(scope="module")
def gateway(
    demo_index: Path, redis_url: str, engines: dict[Path, Simulator], experiments: Path
) -> Iterator[Gateway]:
    settings = {
        "REDIS_URL": redis_url,
        "DEFAULT_STUDENT": "student0",
        "EXPERIMENTS_FILE": str(experiments),
    }
    for number, (folder, engine) in enumerate(engines.items()):
        settings[f"STUDENTS__STUDENT{number}__MANIFEST"] = str(folder / "student.yaml")
        settings[f"STUDENTS__STUDENT{number}__ENGINES"] = engine.url
    with running_gateway(demo_index, settings) as running:
        running.wait_for("index")
        running.wait_for("student")
        yield running


@pytest.fixture(scope="module")
def played(gateway: Gateway) -> list[int]:
    """Visits, refusals, impressions and clicks of the days."""
    told = interests(
        *("experiments", "simulate", "--url", gateway.url, "--readers", str(READERS)),
        *("--days", str(DAYS), "--day", str(DAY_S), "--visits", "1.5", "--timeout-ms", "5000"),
        env={},
    )
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", told)][:4]


def test_readers_come_for_days_and_click_what_they_are_shown(played: list[int]) -> None:
    visits, refused, impressions, clicks = played
    assert visits > READERS * DAYS
    assert refused == 0
    assert 0 < clicks < impressions <= 10 * visits


def test_what_they_did_is_exported_and_becomes_a_verdict(
    played: list[int],
    redis_url: str,
    engines: dict[Path, Simulator],
    experiments: Path,
    tmp_path: Path,
) -> None:
    visits, _, impressions, clicks = played
    events, offline, report = (tmp_path / name for name in ("events", "offline", "report"))
    time.sleep(1.1)  # entries of the last second are left for the next export
    interests("events", "export", str(events), env={"INTERESTS_REDIS_URL": redis_url})
    exposures = read_table(events, "exposures")
    mine = [row for row in exposures if is_reader(row)]
    assert len(mine) == visits
    assert {place["assigned"] for row in mine for place in row["placements"]} == set(ARMS)
    feedback = [row for row in read_table(events, "feedback") if is_reader(row)]
    kinds = Counter(row["kind"] for row in feedback)
    assert (kinds["impression"], kinds["click"]) == (impressions, clicks)
    assert all(row["joined"] and row["place"] for row in feedback)

    (student, engine), (other, its_engine) = engines.items()
    interests(
        *("evaluate", "--demo", "--users", "20", "--out", str(offline)),
        *("--student", str(student), "--engine", engine.url),
        *("--compare", f"{its_engine.url}={other}"),
        env={},
    )
    told = interests(
        *("experiments", "report", "worked-example", "--events", str(events)),
        *("--experiments", str(experiments), "--day", str(DAY_S), "--offline", str(offline)),
        *("--out", str(report)),
        env={},
    )
    assert "serving beside heuristic: no difference seen yet" in told, "of forty none can be"
    said = json.loads((report / "report.json").read_text())
    assert sum(said["arms"].values()) == READERS
    assert said["sample_ratio"]["planned"] == {"heuristic": 0.34, "other": 0.33, "serving": 0.33}
    foretold = {row["arm"]: row["predicted"] for row in said["offline"]["rows"]}
    assert set(foretold) == {"other", "serving"}
    assert None not in foretold.values()


def test_the_watcher_counts_the_readers_of_every_arm_and_finds_nothing_wrong(
    played: list[int], redis_url: str, experiments: Path
) -> None:
    env = {"INTERESTS_REDIS_URL": redis_url, "INTERESTS_EXPERIMENTS_FILE": str(experiments)}
    told = interests("experiments", "watch", "--once", env=env)
    counts = {arm: int(count) for arm, count in re.findall(r"(\w+) (\d+)", told)}
    assert set(ARMS) <= set(counts), told
    assert sum(counts[arm] for arm in ARMS) == READERS
    assert "nothing was done by hand" in interests("experiments", "history", env=env)


def is_reader(row: dict[str, Any]) -> bool:
    """Whether a row is of a simulated reader: other tests have users in the same Redis."""
    return re.fullmatch(r"reader-\d{5}", row["user_id"]) is not None


def read_table(folder: Path, name: str) -> list[dict[str, Any]]:
    """The rows of all segments."""
    files = sorted(folder.glob(f"*/{name}.parquet"))
    return [row for file in files for row in parquet.read_table(file).to_pylist()]
