"""`interests experiments report`: a folder in, a folder out, and faults in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts.command import interests_here
from tests.parts.events import START_MS, exposure, placed, write_segment
from tests.unit.models.verdict.builders import KEY, write_experiment
from tests.unit.service.experiments.builders import file_of, written

USERS = {"control": 150, "small-10": 150}


def asked(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return interests_here("experiments", "report", *map(str, words), env={})


def refused(*words: str | Path) -> str:
    """The one line by which a command is refused."""
    done = asked(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.fixture
def events(tmp_path: Path) -> Path:
    rates = {"control": 0.1, "small-10": 0.5}
    return write_experiment(tmp_path / "events", USERS, rates=rates)


def test_the_verdict_is_said_and_written(events: Path, tmp_path: Path) -> None:
    file = file_of(tmp_path, written(key=KEY))
    out = tmp_path / "out"
    done = asked(KEY, "--events", events, "--experiments", file, "--out", out)
    assert done.returncode == 0, done.stderr
    first, *_, last = done.stdout.splitlines()
    assert first.startswith("small-10 beside control: better. The click-through changed by +")
    assert last == f"report: {out}"
    assert {path.name for path in out.iterdir()} == {"report.html", "report.json", "report.md"}


def test_a_report_goes_to_a_folder_named_after_the_experiment(
    events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert asked(KEY, "--events", events, "--day", "3600").returncode == 0
    assert (tmp_path / ".local/experiments" / KEY / "report.html").is_file()


def test_what_the_user_can_mend_is_one_line_and_nothing_is_written(
    events: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    to = ("--out", out)
    assert f"experiments are: {KEY}" in refused("nonsense", "--events", events, *to)
    assert "no folder" in refused(KEY, "--events", tmp_path / "none", *to)
    assert "--day: give 0.001 or more" in refused(KEY, "--events", events, "--day", "0", *to)
    assert "is no report" in refused(KEY, "--events", events, "--out", events)
    file = file_of(tmp_path, written(key="another"))
    told = refused(KEY, "--events", events, "--experiments", file, *to)
    assert f"has no experiment {KEY}" in told
    broken = next(events.glob("*/feedback.parquet"))
    broken.write_bytes(b"PAR1")
    assert str(broken) in refused(KEY, "--events", events, *to)
    assert not out.exists()


def test_an_experiment_of_one_arm_is_nothing_to_compare(tmp_path: Path) -> None:
    write_segment(tmp_path / "events", [exposure("r", "maya", START_MS, placed(KEY, "base"))])
    told = refused(KEY, "--events", tmp_path / "events", "--out", tmp_path / "out")
    assert "one arm in these events, base" in told


def test_without_the_libraries_it_says_what_to_install(
    events: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("models.verdict")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert "duckdb is not installed: pip install 'interests[report]'" in refused(
        KEY, "--events", events
    )
