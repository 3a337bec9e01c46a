"""YAML files: what is wrong is told by file and line, and nothing is taken that was not meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from service.errors import ConfigurationError
from service.yaml_files import read_fields, read_yaml


class Recipe(BaseModel):
    """What the tests read."""

    name: str
    steps: list[dict[str, int]] = []


def refusal(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        read_yaml(path, Recipe, "recipe")
    assert "\n" not in str(raised.value)
    return str(raised.value).replace(str(path), "FILE")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: a\nname: b\n", "FILE:2: name is given twice, first in line 1: keep one"),
        ("name: a\n'name': b\n", "FILE:2: name is given twice, first in line 1: keep one"),
        (
            "name: a\nsteps:\n- {x: 1, x: 2}\n",
            "FILE:3: x is given twice, first in line 3: keep one",
        ),
        ("name: a\nsteps:\n- x: 1\n- x: 1\n  y: 2\n  x: 1\n", "FILE:6: x is given twice, first in"),
        ("name: a\nsteps: 2026-02-31\n", "FILE:2: not valid YAML: day is out of range for month"),
        ("name: !!int a\n", "FILE:1: not valid YAML: invalid literal"),
        ("name: [\n", "FILE:2: not valid YAML: "),
        ("name: \x01\n", "FILE: not valid YAML: special characters are not allowed"),
        ("name: " + "[" * 5_000, "FILE: has fields within fields without end"),
        ("name: a\nsteps:\n- x: 1\n- x: two\n", "FILE:4: steps.1.x: Input should be"),
        ("steps: []\n", "FILE: name: is missing; add it"),
        ("", "FILE: must hold the fields of a recipe"),
        ("# name: a\n", "FILE: must hold the fields of a recipe"),
        ("a line\n", "FILE: must hold the fields of a recipe"),
    ],
)
def test_what_is_wrong_is_told_by_file_and_line(tmp_path: Path, text: str, told: str) -> None:
    assert refusal(tmp_path / "recipe.yaml", text).startswith(told)


def test_a_key_may_stand_in_several_mappings_and_replace_what_is_merged_in(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "name: a\nsteps:\n- &one {x: 1, y: 1}\n- &two {<<: *one, x: 2}\n"
        "- {<<: *two, y: 3}\n- *two\n"
    )
    steps = read_yaml(path, Recipe, "recipe").steps
    two = {"x": 2, "y": 1}
    assert steps == [{"x": 1, "y": 1}, two, {"x": 2, "y": 3}, two]


def test_a_mapping_within_itself_is_read_and_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("a: &a {b: *a}\n")
    fields = read_fields(path, "recipe").fields
    assert fields["a"]["b"] is fields["a"]


def test_a_place_is_that_of_the_innermost_key_that_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: a\nsteps:\n  - x: 1\n  - x: 1\n    y: 2\n")
    file = read_fields(path, "recipe")
    found = [file.place(keys) for keys in (("steps", 1, "y"), ("steps", 1, "z"), ("steps", 7), ())]
    assert found == [f"{path}:5", f"{path}:4", f"{path}:2", str(path)]
