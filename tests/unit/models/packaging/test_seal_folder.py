"""A Hugging Face folder becomes a student by sealing it, with or without a manifest of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from models.commands.students import students
from models.packaging.build import build_student
from models.packaging.registry import BASE_STUDENT, find_student
from models.packaging.safetensors import write_tensors
from models.packaging.seal import seal_student
from service.errors import ConfigurationError
from service.manifest import Manifest, PathWeights, load_manifest, verify
from tests.unit.models.packaging.builders import full

TEMPLATE = find_student(BASE_STUDENT).folder / "template.yaml"
SHAPES = {"embed": (3, 4), "out": (5,)}
PARAMETERS = 17


def untold(what: str, share: float) -> None:
    """Hears how far the work is."""


def seal(folder: Path, adapter: Path | None = None) -> bool:
    return seal_student(folder, adapter, untold)


def write_weights(path: Path) -> None:
    with path.open("wb") as file:
        tensors = (np.zeros(shape, np.float32) for shape in SHAPES.values())
        write_tensors(file, SHAPES, tensors, {"format": "pt"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What `save_pretrained` leaves of a model and its tokenizer, and a template beside it."""
    made = tmp_path / "Tiny2.5-Chat"
    made.mkdir()
    config = {"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 512}
    (made / "config.json").write_text(json.dumps(config))
    (made / "generation_config.json").write_text("{}")
    (made / "tokenizer.json").write_text(json.dumps(full()))
    (made / "README.md").write_text("A model.")
    (made / "template.yaml").write_bytes(TEMPLATE.read_bytes())
    write_weights(made / "model.safetensors")
    return made


def by_hand(**changes: Any) -> dict[str, Any]:
    """A manifest as docs/students.md shows it, before it is sealed."""
    return {
        "name": "mine",
        "version": "2",
        "weights": {"kind": "path"},
        "template": {"file": "template.yaml"},
        "output": "lines",
        "decoding": {"max_tokens": 64},
        "prompt_budget": 400,
        "timeout_ms": 5_000,
        "engine": {"max_model_len": 512},
        "lineage": {"base": "Tiny", "source": "Our own"},
        "licence": "MIT",
        **changes,
    }


def test_a_folder_without_a_manifest_gets_one_that_builds(folder: Path, tmp_path: Path) -> None:
    assert seal(folder), "the manifest is new"
    manifest = load_manifest(folder)
    assert manifest.key == "tiny2-5-chat@1"
    assert (manifest.architecture, manifest.parameters) == ("LlamaForCausalLM", PARAMETERS)
    assert manifest.engine.max_model_len == 512, "no more than the model was made for"
    assert (manifest.licence, manifest.lineage.source) == ("not stated", "not stated")
    assert isinstance(manifest.weights, PathWeights)
    assert set(manifest.weights.files) == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
    }
    verify(manifest, folder)
    built = tmp_path / "built"
    assert build_student(folder, built, untold)
    verify(load_manifest(built), built)


def test_the_command_says_what_is_left_to_a_person(folder: Path) -> None:
    first, again = (CliRunner().invoke(students, ["seal", str(folder)]).output for _ in range(2))
    assert f"{folder} is sealed" in first
    assert "student.yaml is new: look it through; licence and lineage are for you to say" in first
    assert "is new" not in again


def test_in_the_registry_name_and_version_are_those_of_the_folders(
    folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "mine" / "2"
    place.parent.mkdir()
    folder.rename(place)
    seal(place)
    assert load_manifest(place).key == "mine@2"


def test_a_manifest_by_hand_keeps_its_words_and_gets_the_checksums(folder: Path) -> None:
    (folder / "student.yaml").write_text(yaml.safe_dump(by_hand(architecture="Own", parameters=5)))
    assert not seal(folder)
    manifest = load_manifest(folder)
    assert (manifest.key, manifest.licence) == ("mine@2", "MIT")
    assert (manifest.architecture, manifest.parameters) == ("Own", 5)
    verify(manifest, folder)


def test_the_page_shows_a_manifest_that_seals_and_explains_every_field(folder: Path) -> None:
    page = (Path(__file__).parents[4] / "docs" / "students.md").read_text()
    section = page.partition("## A Hugging Face folder")[2].partition("\n## ")[0]
    example = section.partition("```yaml\n")[2].partition("```")[0].replace("640", "512")
    (folder / "student.yaml").write_text(example.replace("budget: 512", "budget: 448"))
    assert not seal(folder)
    verify(load_manifest(folder), folder)
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(Manifest.model_fields)


@pytest.mark.parametrize("context", [64, 100, 2048])
def test_the_first_manifest_fits_the_models_context(folder: Path, context: int) -> None:
    config = {"architectures": ["LlamaForCausalLM"], "max_position_embeddings": context}
    (folder / "config.json").write_text(json.dumps(config))
    assert seal(folder)
    assert load_manifest(folder).engine.max_model_len == min(context, 640)


def test_sealing_again_after_a_change_takes_the_new_files(folder: Path) -> None:
    seal(folder)
    (folder / "generation_config.json").write_text('{"top_k": 1}')
    write_weights(folder / "more.safetensors")
    assert not seal(folder)
    manifest = load_manifest(folder)
    verify(manifest, folder)
    assert "more.safetensors" in manifest.weights.files


def without(name: str) -> Any:
    return lambda folder: (folder / name).unlink()


def holding(name: str, content: bytes) -> Any:
    return lambda folder: (folder / name).write_bytes(content)


def described(**changes: Any) -> Any:
    return holding("student.yaml", yaml.safe_dump(by_hand(**changes)).encode())


INDEX = json.dumps({"weight_map": {"embed": "model-00002-of-00002.safetensors"}}).encode()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without("config.json"), r"holds neither student\.yaml nor a config\.json"),
        (without("tokenizer.json"), r"tokenizer\.json is missing: .*save_pretrained"),
        (without("template.yaml"), r"template\.yaml is missing: .*docs/prompt\.md"),
        (without("model.safetensors"), r"holds no \*\.safetensors; save the model"),
        (holding("config.json", b"{"), r"config\.json: cannot be read: .*fetch it again"),
        (holding("config.json", b"[]"), r"config\.json: must hold a JSON object"),
        (holding("config.json", b"{}"), r"config\.json: names no `architectures`"),
        (holding("tokenizer.json", b"{}"), r"tokenizer\.json: not a readable tokenizer"),
        (holding("model.safetensors", b"torn"), r"model\.safetensors: is not a whole"),
        (holding("model.safetensors.index.json", INDEX), r"00002\.safetensors is missing, though"),
        (holding("model.safetensors.index.json", b'{"weight_map": 3}'), "has no `weight_map`"),
        (holding("template.yaml", b"prefix: x"), r"template\.yaml: signal: is missing"),
        (described(engine={"max_model_len": 1024}), r"max_model_len is 1024, .* 512; lower it"),
        (described(prompt_budget=9_999), r"/student\.yaml: .*more than engine\.max_model_len"),
        (described(tokenizer={"file": "other.json"}), r"tokenizer\.file must be tokenizer\.json"),
        (described(template=3), r"template, tokenizer or engine is not as docs/students\.md says"),
        (described(weights={"kind": "package"}), r"of an adapter, or of a Hugging Face"),
    ],
)
def test_what_is_missing_or_wrong_is_named_and_nothing_changes(
    folder: Path, spoil: Any, said: str
) -> None:
    spoil(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ConfigurationError, match=said) as refused:
        seal(folder)
    assert "\n" not in str(refused.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_torn_download_is_no_student(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-3])
    with pytest.raises(ConfigurationError, match=r"bytes instead of \d+"):
        seal(folder)


def test_an_adapter_goes_into_no_whole_files(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--adapter is for a recipe"):
        seal(folder, tmp_path / "adapter.safetensors")
