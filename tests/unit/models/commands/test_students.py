"""`interests students`: what it says of the registry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from models.commands import students as commands
from models.commands.students import students
from models.packaging.registry import BASE_STUDENT, DEFAULT_STUDENT, find_student, list_students
from service.errors import InvalidInput
from tests.unit.models.evaluation.test_promotion import report


@pytest.mark.parametrize("columns", ["40", "80"])
def test_the_list_says_every_version_whole_in_a_narrow_terminal(columns: str) -> None:
    said = CliRunner(env={"COLUMNS": columns}).invoke(students, ["list"]).output
    for entry in list_students():
        assert entry.manifest.key in said
        assert entry.manifest.licence in said
        assert entry.manifest.summary in said


def test_the_list_as_json_is_one_document_that_names_every_student() -> None:
    found = json.loads(CliRunner().invoke(students, ["list", "--json"]).stdout)
    keys = [f"{one['name']}@{one['version']}" for one in found]
    assert keys == [entry.manifest.key for entry in list_students()]


def promote(*arguments: str) -> Result:
    return CliRunner().invoke(students, ["promote", *arguments])


def test_a_student_is_not_promoted_over_itself(tmp_path: Path) -> None:
    done = promote(DEFAULT_STUDENT, "--report", str(tmp_path))
    assert isinstance(done.exception, InvalidInput)
    assert "name the student that serves with --over" in str(done.exception)


def test_a_promoted_student_comes_with_its_experiment_and_a_refused_one_with_every_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "verify", lambda manifest, folder: None)
    key, over = (find_student(name).manifest.key for name in (DEFAULT_STUDENT, BASE_STUDENT))
    path = tmp_path / "report.json"
    arguments = (DEFAULT_STUDENT, "--over", BASE_STUDENT, "--report", str(path))
    path.write_text(json.dumps(report(0.05)))
    done = promote(*arguments)
    assert done.exit_code == 0
    assert done.stdout.startswith("- key: interests-small-")
    assert "for it: nDCG@20" in done.stderr
    path.write_text(json.dumps(report(-0.05, p50=9.0)))
    done = promote(*arguments)
    assert isinstance(done.exception, InvalidInput)
    assert f"{key} does not take the place of {over}: a list takes 9.00 times" in str(
        done.exception
    )
    assert done.stderr.count("against it: ") == 2
    assert done.stdout == ""


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_what_is_no_report_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    monkeypatch.setattr(commands, "verify", lambda manifest, folder: None)
    if text is not None:
        (tmp_path / "report.json").write_text(text)
    done = promote(DEFAULT_STUDENT, "--over", BASE_STUDENT, "--report", str(tmp_path))
    assert isinstance(done.exception, InvalidInput)
    assert "folder" in str(done.exception)
