"""The load tests run, small, against real gateways; what they say of a machine is not looked at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]

ROOT = Path(__file__).parents[2]
FILES = ("json", "md", "svg")


def run(scenario: str, student: Path, into: Path, *flags: str) -> dict[str, Any]:
    """Run a scenario as a user would. Returns what it wrote."""
    given = ["--student", str(student / "student.yaml"), "--results", str(into), *flags]
    done = subprocess.run(
        [sys.executable, "-m", f"loadtests.{scenario}", *given],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(into.iterdir()) == sorted(into / f"{scenario}.{kind}" for kind in FILES)
    found: dict[str, Any] = orjson.loads((into / f"{scenario}.json").read_bytes())
    return found


def test_reused_lists_are_measured_beside_the_floor(built_student: Path, tmp_path: Path) -> None:
    small = ("--rounds", "2", "--seconds", "0.5", "--users", "5", "--articles", "1881")
    found = run("reused", built_student, tmp_path, *small)
    turns = found["data"]["turns"]
    assert list(turns) == ["floor", "gateway"]
    for side in turns.values():
        assert len(side) == 2
        assert all(turn["answers/s"] > 0 and turn["not ok"] == 0 for turn in side)
    assert found["data"]["ratio_to_floor"]["gateway"] > 0
    page = (tmp_path / "reused.md").read_text()
    assert "python -m loadtests.reused --student … --results … --rounds 2" in page


def test_inline_signals_are_measured_over_stubs(built_student: Path, tmp_path: Path) -> None:
    small = ("--rounds", "2", "--seconds", "0.5", "--callers", "4", "--step-ms", "0")
    turns = run("inline", built_student, tmp_path, *small)["data"]["turns"]
    assert list(turns) == ["gateway"]
    assert all(turn["answers/s"] > 0 and turn["not ok"] == 0 for turn in turns["gateway"])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--rounds", "0"], "--rounds takes 1 or more"),
        (["--student", "nowhere.yaml"], "--student: "),
        (["--against", "/"], "--against: / is no checkout"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(
    flags: list[str], said: str, built_student: Path
) -> None:
    given = ["--student", str(built_student / "student.yaml"), *flags]
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.inline", *given], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
