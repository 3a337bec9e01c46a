"""`interests students`: what it says of the registry."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from models.commands.students import students
from models.packaging.registry import list_students


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
