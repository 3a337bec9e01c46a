"""The student that ships is sealed: its manifest holds the checksums that its parts build to."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from models.packaging.registry import find_student
from service.manifest import load_manifest
from tests.integration.test_students_build import interests

SHIPPED = find_student("interests-small").folder


def test_sealing_the_shipped_student_again_gives_the_same_manifest(tmp_path: Path) -> None:
    folder = tmp_path / "1"
    shutil.copytree(SHIPPED, folder)
    raw = yaml.safe_load((folder / "student.yaml").read_text())
    raw["weights"]["files"] = {}
    parts = (
        raw["tokenizer"],
        raw["template"],
        raw["weights"]["delta"],
        raw["weights"]["vocabulary"],
    )
    for part in parts:
        part["sha256"] = "0" * 64
    (folder / "student.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    done = interests("students", "seal", str(folder))
    assert done.returncode == 0, done.stderr
    assert load_manifest(folder) == load_manifest(SHIPPED)
    assert sorted(one.name for one in folder.iterdir()) == sorted(
        one.name for one in SHIPPED.iterdir()
    )


def test_a_student_without_a_delta_cannot_be_sealed(tmp_path: Path) -> None:
    done = interests("students", "seal", str(find_student("smollm2-base").folder))
    assert done.returncode == 2
    assert "must be the manifest of a recipe with a delta" in done.stderr.replace("\n", " ")


def test_what_ships_is_small() -> None:
    assert sum(one.stat().st_size for one in SHIPPED.iterdir()) < 30 * 2**20
