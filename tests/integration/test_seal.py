"""The student that ships is sealed: its manifest holds the checksums that its parts build to."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from models.packaging.adapter_file import read_delta, write_adapter
from models.packaging.registry import find_student
from service.manifest import load_manifest, sha256_of
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
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        path.name for path in SHIPPED.iterdir()
    )


def test_a_manifest_that_is_no_good_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    folder, adapter = tmp_path / "1", tmp_path / "adapter.safetensors"
    shutil.copytree(SHIPPED, folder)
    raw = yaml.safe_load((folder / "student.yaml").read_text())
    (folder / "student.yaml").write_text(yaml.safe_dump({**raw, "prompt_budget": 9_999}))
    name, (a, b) = next(iter(read_delta(SHIPPED / "adapter.safetensors").pairs.items()))
    prefix = f"base_model.model.{name.removesuffix('.weight')}"
    write_adapter(adapter, {f"{prefix}.lora_A.weight": a, f"{prefix}.lora_B.weight": b}, 1.0)
    before = {path.name: sha256_of(path) for path in folder.iterdir()}
    done = interests("students", "seal", str(folder), "--adapter", str(adapter))
    assert done.returncode == 2
    assert "more than engine.max_model_len" in done.stderr.replace("\n", " ")
    assert {path.name: sha256_of(path) for path in folder.iterdir()} == before


def test_a_recipe_without_a_delta_is_sealed_and_takes_no_adapter(tmp_path: Path) -> None:
    folder, base = tmp_path / "1", find_student("interests-small-base")
    shutil.copytree(base.folder, folder)
    raw = yaml.safe_load((folder / "student.yaml").read_text())
    raw["weights"]["files"] = {}
    (folder / "student.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    refused = interests(
        "students", "seal", str(folder), "--adapter", str(SHIPPED / "adapter.safetensors")
    )
    assert refused.returncode == 2
    assert "weights.delta names a file" in refused.stderr.replace("\n", " ")
    done = interests("students", "seal", str(folder))
    assert done.returncode == 0, done.stderr
    assert load_manifest(folder) == base.manifest


def test_a_packaged_student_cannot_be_sealed() -> None:
    done = interests("students", "seal", str(find_student("smollm2-base").folder))
    assert done.returncode == 2
    assert "must be the manifest of a recipe, of an adapter" in done.stderr.replace("\n", " ")


def test_what_ships_is_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 30 * 2**20
