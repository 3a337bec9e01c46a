"""Which packaged base a student is made of, as its manifest says before it is sealed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from models.packaging.packaged import base_named_in
from models.packaging.registry import DEFAULT_STUDENT, find_student
from service.errors import ConfigurationError
from service.manifest import PackagedBase

BASE = {
    "distribution": "some-model",
    "version": "1.2",
    "file": "some_model/weights.gguf",
    "sha256": "a" * 64,
}


def written(folder: Path, manifest: Any) -> Path:
    (folder / "student.yaml").write_text(yaml.safe_dump(manifest))
    return folder


def test_the_base_is_known_before_anything_else_is(tmp_path: Path) -> None:
    draft = {"name": "mine", "weights": {"kind": "recipe", **BASE, "delta": {"file": "a"}}}
    assert base_named_in(written(tmp_path, draft)) == PackagedBase(**BASE)


def test_the_student_that_ships_names_its_own() -> None:
    shipped = find_student(DEFAULT_STUDENT)
    base = base_named_in(shipped.folder)
    assert base.model_dump().items() <= shipped.manifest.weights.model_dump().items()


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ({"name": "mine"}, ": weights: is missing; add it"),
        (
            {"weights": {**BASE, "version": 1.2}},
            ":5: weights.version: Input should be a valid string",
        ),
        ({"weights": {**BASE, "sha256": "b179"}}, ":4: weights.sha256: String should match"),
        (
            {"weights": {"kind": "path", "files": {}}},
            ":1: weights.distribution: is missing; add it",
        ),
        ([], ": must hold the fields of a student"),
    ],
)
def test_a_manifest_without_a_base_is_named_with_the_field(
    tmp_path: Path, manifest: Any, says: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        base_named_in(written(tmp_path, manifest))
    assert str(caught.value).startswith(f"{tmp_path / 'student.yaml'}{says}")


def test_a_missing_manifest_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        base_named_in(tmp_path)
    assert f"{tmp_path / 'student.yaml'} is missing" in str(caught.value)
    assert "docs/students.md" in str(caught.value)
