"""`interests experiments …`: a file is checked, a user is shown, a new file's moves are said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from service.commands import experiments
from service.errors import ConfigurationError, InterestsError, InvalidInput
from service.experiments.hashing import point
from tests.parts.gateway import free_port
from tests.unit.service.experiments.builders import file_of, written
from tests.unit.service.test_manifest import folder_with

ARMS = [{"name": "control", "split": "50%"}, {"name": "tiny", "split": "50%", "student": "tiny@3"}]


@pytest.fixture(autouse=True)
def student(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One configured student, tiny@3."""
    folder = tmp_path / "student"
    folder.mkdir()
    manifest = folder_with(folder) / "student.yaml"
    monkeypatch.setenv("INTERESTS_STUDENTS__MAIN__MANIFEST", str(manifest))
    monkeypatch.setenv("INTERESTS_REDIS_URL", f"redis://127.0.0.1:{free_port()}")
    monkeypatch.chdir(tmp_path)


def run(*arguments: str | Path) -> Result:
    """Run a command; our own errors come out as they are."""
    result = CliRunner().invoke(experiments.app, list(map(str, arguments)))
    if isinstance(result.exception, InterestsError):
        raise result.exception
    return result


def whole(folder: Path, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    return file_of(folder, written(**{"arms": ARMS, "buckets": [0, 9_999], **changes}))


def test_a_good_file_is_said_to_be_good(tmp_path: Path) -> None:
    said = run("check", whole(tmp_path))
    assert said.exit_code == 0
    assert "no fault; experiments: 1, of which run now: 1" in said.stdout


def test_where_redis_is_away_it_is_said_that_what_was_done_by_hand_is_left_out(
    tmp_path: Path,
) -> None:
    file = whole(tmp_path, traffic="100%")
    for words in (
        ("check", file),
        ("show", "maya", "--file", file),
        ("plan", file, "--running", file),
    ):
        said = run(*words)
        assert said.exit_code == 0
        assert "what was done by hand could not be read and is left out" in said.stderr


def test_each_fault_is_a_line_and_the_exit_code_is_2(tmp_path: Path) -> None:
    path = whole(tmp_path, arms=[{"name": "a", "split": "10%", "student": "tiny@4"}])
    said = run("check", path)
    assert said.exit_code == 2
    lines = said.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"error: {path}:") for line in lines)
    assert "no student is called tiny@4; there are: heuristic, tiny@3" in said.stderr


def test_a_user_is_shown_with_the_arm_of_each_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = whole(tmp_path, traffic="100%", allowlist={"tester": "tiny"})
    monkeypatch.setenv("INTERESTS_EXPERIMENTS_FILE", str(path))
    arm = "control" if point("students-salt:small-10:arm", "maya") < 5_000 else "tiny"
    assert run("show", "maya").stdout == f"students: small-10: {arm}\n"
    assert "tiny (by the allowlist)" in run("show", "tester").stdout
    nothing = whole(tmp_path / "other", traffic="0%")
    assert run("show", "maya", "--file", nothing).stdout == "students: no experiment\n"


def test_without_a_file_it_says_which_setting_names_one() -> None:
    with pytest.raises(ConfigurationError, match="INTERESTS_EXPERIMENTS_FILE is not set"):
        run("show", "maya")


def test_a_plan_says_who_enters(tmp_path: Path) -> None:
    now = whole(tmp_path / "now", traffic="1%")
    said = run("plan", whole(tmp_path / "new", traffic="100%"), "--running", now)
    assert said.exit_code == 0
    assert said.stdout == "small-10: 99% of all users enter, 0% leave, 0% change arms\n"
    assert "nobody's arm changes" in run("plan", now, "--running", now).stdout


def test_a_plan_that_the_gateway_would_refuse_is_said_with_its_line(tmp_path: Path) -> None:
    now = whole(tmp_path / "now", traffic="100%")
    arms = [{**arm, "split": split} for arm, split in zip(ARMS, ("40%", "60%"), strict=True)]
    new = whole(tmp_path / "new", traffic="100%", arms=arms)
    said = run("plan", new, "--running", now)
    assert said.exit_code == 2
    assert "10% change arms" in said.stdout
    assert f"error: {new}:" in said.stderr
    assert "split: was 50%" in said.stderr


def test_a_plan_says_how_long_a_lift_takes_to_be_seen(tmp_path: Path) -> None:
    file = whole(tmp_path, traffic="100%")
    asked = ("--users-a-day", "1000", "--rate", "0.1", "--lift", "0.1")
    said = run("plan", file, "--running", file, *asked).stdout
    assert "small-10: 29,497 users must come to see the lift: 30 days" in said
    nobody = whole(tmp_path / "nobody", traffic="0%")
    said = run("plan", nobody, "--running", file, *asked).stdout
    assert "small-10: no two arms with users to compare" in said


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--rate", "0.1"), "all three"),
        (("--users-a-day", "0", "--rate", "0.1", "--lift", "0.1"), "--users-a-day"),
        (("--users-a-day", "9", "--rate", "1", "--lift", "0.1"), "--rate"),
        (("--users-a-day", "9", "--rate", "0.1", "--lift", "0"), "--lift"),
        (("--users-a-day", "9", "--rate", "0.1", "--lift", "9"), "--lift"),
        (("--users-a-day", "9", "--rate", "nan", "--lift", "9"), "--rate"),
        (("--users-a-day", "9", "--rate", "0.1", "--lift", "nan"), "--lift"),
    ],
)
def test_a_plans_bad_options_are_named(tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    file = whole(tmp_path)
    with pytest.raises(InvalidInput, match=told):
        run("plan", file, "--running", file, *options)


def test_a_shadow_is_told_from_what_is_served(tmp_path: Path) -> None:
    arms = [{"name": "dark", "student": "tiny@3"}]
    file = whole(tmp_path / "new", kind="shadow", traffic="100%", arms=arms)
    assert "no fault" in run("check", file).stdout
    shown = run("show", "maya", "--file", file).stdout
    assert shown == "students: small-10: dark (a shadow: nothing of it is served)\n"
    now = whole(tmp_path / "now", key="other", traffic="0%")
    asked = ("--users-a-day", "1000", "--rate", "0.1", "--lift", "0.1")
    lines = run("plan", file, "--running", now, *asked).stdout.splitlines()
    assert lines == [
        "nobody's arm changes",
        "small-10: a shadow, so nobody's answer changes",
        "small-10: a shadow, of which readers see nothing",
    ]
