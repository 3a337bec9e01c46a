"""`interests students`: what it says of the registry."""

from __future__ import annotations

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
