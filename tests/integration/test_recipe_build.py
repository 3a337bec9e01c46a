"""Building a student that ships as a recipe: the real base, cut, with a delta merged in."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from models.demo.users import demo_users
from models.packaging.adapter_file import read_delta, write_adapter
from models.packaging.safetensors import read_tensors
from models.packaging.vocabulary import choose_tokens, read_vocabulary, write_vocabulary
from service.manifest import AdapterWeights, PackageWeights, load_manifest, sha256_of, verify
from service.signals.prompt import Tokenizer
from tests.integration.test_students_build import BASE, VARIED, interests
from tests.parts.vllm import ROOT, engine_python
from tests.unit.service.test_manifest import manifest_of

BUILT = ("tokenizer.json", "tokenizer_config.json", "config.json", "model.safetensors")
LAYER = "model.layers.{}.{}"
ADAPTED = [
    LAYER.format(0, "self_attn.q_proj"),
    LAYER.format(0, "self_attn.k_proj"),
    LAYER.format(7, "self_attn.v_proj"),
    LAYER.format(7, "self_attn.o_proj"),
    LAYER.format(29, "mlp.gate_proj"),
    LAYER.format(29, "mlp.up_proj"),
    LAYER.format(29, "mlp.down_proj"),
]
RANK, ALPHA = 3, 6.0
CONVERT = """
import sys
from pathlib import Path
from models.packaging.base import convert
from service.manifest import PackagedBase
base, into, vocabulary, delta = sys.argv[1:]
convert(PackagedBase.model_validate_json(base), Path(into), lambda what, share: None,
        vocabulary=Path(vocabulary), delta=Path(delta))
"""
BUILD_BASE = """
import sys
from pathlib import Path
from models.packaging.base import build_base
from service.manifest import PackagedBase
base, vocabulary, target = sys.argv[1:]
def build():
    return build_base(PackagedBase.model_validate_json(base), Path(vocabulary), Path(target),
                      lambda what, share: None)
print(build(), build())
(Path(target) / "config.json").write_text("{}")
print(build())
"""


@dataclass(frozen=True)
class Recipe:
    """A student's folder, and what one conversion of its parts gave."""

    source: Path
    converted: Path


def in_engine(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [engine_python(), "-c", script, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def packaged() -> dict[str, Any]:
    weights = BASE.manifest.weights
    assert isinstance(weights, PackageWeights)
    return weights.model_dump(exclude={"kind", "files"})


def random_adapter(shapes: dict[str, tuple[int, ...]], path: Path) -> None:
    """As large as the weights themselves, so that nothing wrong could hide in the rounding."""
    random, tensors = np.random.default_rng(20), {}
    for module in ADAPTED:
        out, width = shapes[f"{module}.weight"]
        prefix = f"base_model.model.{module}"
        a = random.standard_normal((RANK, width), dtype=np.float32)
        b = random.standard_normal((out, RANK), dtype=np.float32)
        tensors[f"{prefix}.lora_A.weight"] = a
        tensors[f"{prefix}.lora_B.weight"] = b * np.float32(0.2)
    write_adapter(path, tensors, ALPHA)


def write_manifest(source: Path, sums: dict[str, str]) -> None:
    """`student.yaml` with the checksums of what lies beside it, and `sums` of what is built."""

    def named(name: str) -> dict[str, str]:
        return {"file": name, "sha256": sha256_of(source / name)}

    manifest = manifest_of(parameters=110_000_000)
    manifest["weights"] = {
        "kind": "recipe",
        **packaged(),
        "vocabulary": named("vocabulary.json"),
        "delta": named("adapter.safetensors"),
        "files": {name: sums[name] for name in BUILT if name != "tokenizer.json"},
    }
    manifest["tokenizer"] = {"file": "tokenizer.json", "sha256": sums["tokenizer.json"]}
    manifest["template"] = named("template.yaml")
    (source / "student.yaml").write_text(yaml.safe_dump(manifest))


@pytest.fixture(scope="module")
def base_tensors(built_base: Path) -> dict[str, Any]:
    """The tensors of the base as it is, bfloat16 values in float32."""
    return read_tensors(built_base / "model.safetensors")[0]


@pytest.fixture(scope="module")
def recipe(
    built_base: Path,
    base_tensors: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Recipe:
    """A student of 2,000 tokens chosen by the demo users' signals, and a random adapter."""
    source, converted = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("converted")
    tokenizer = json.loads((built_base / "tokenizer.json").read_text())
    signals = [signal.text for user in demo_users() for signal in user.signals]
    kept = choose_tokens(tokenizer, signals, 2000)
    write_vocabulary(source / "vocabulary.json", tokenizer, kept)
    shapes = {name: values.shape for name, values in base_tensors.items()}
    random_adapter(shapes, source / "adapter.safetensors")
    shutil.copy(BASE.folder / "template.yaml", source)
    parts = [str(source / name) for name in ("vocabulary.json", "adapter.safetensors")]
    in_engine(CONVERT, json.dumps(packaged()), str(converted), *parts)
    write_manifest(source, {name: sha256_of(converted / name) for name in BUILT})
    return Recipe(source, converted)


@pytest.fixture(scope="module")
def built(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The student, built by the command from its folder."""
    into = tmp_path_factory.mktemp("students")
    done = interests("students", "build", str(recipe.source), "--into", str(into))
    assert done.returncode == 0, done.stderr
    return into / "tiny" / "3"


@pytest.fixture(scope="module")
def tensors(built: Path) -> dict[str, Any]:
    return read_tensors(built / "model.safetensors")[0]


def kept_of(recipe: Recipe, built_base: Path) -> list[int]:
    tokenizer = json.loads((built_base / "tokenizer.json").read_text())
    return read_vocabulary(recipe.source / "vocabulary.json", tokenizer)


def test_two_builds_are_the_same_bytes_and_the_parts_stay_behind(
    recipe: Recipe, built: Path
) -> None:
    verify(load_manifest(built), built)
    for name in BUILT:
        assert sha256_of(built / name) == sha256_of(recipe.converted / name)
    assert {path.name for path in built.iterdir()} == {*BUILT, "student.yaml", "template.yaml"}


def test_the_merged_weights_are_the_base_plus_the_scaled_product(
    recipe: Recipe, base_tensors: dict[str, Any], tensors: dict[str, Any]
) -> None:
    """Two roundings to bfloat16 stand between: the base's, as we know it here, and the result's."""
    delta = read_delta(recipe.source / "adapter.safetensors")
    assert set(delta.pairs) == {f"{module}.weight" for module in ADAPTED}
    for name, (a, b) in delta.pairs.items():
        weight = base_tensors[name].astype(np.float64)
        expected = weight + ALPHA / RANK * (b.astype(np.float64) @ a.astype(np.float64))
        allowed = 2.0**-8 * (np.abs(weight) + np.abs(expected)) + 1e-6
        assert (np.abs(tensors[name] - expected) <= allowed).all(), name
        assert np.abs(expected - weight).mean() > np.abs(weight).mean() / 2, "it changes much"


def test_what_is_not_adapted_is_the_bases_own(
    recipe: Recipe, built_base: Path, base_tensors: dict[str, Any], tensors: dict[str, Any]
) -> None:
    kept = kept_of(recipe, built_base)
    embedding = "model.embed_tokens.weight"
    assert set(tensors) == set(base_tensors)
    assert (tensors[embedding] == base_tensors[embedding][kept]).all()
    adapted = {f"{module}.weight" for module in ADAPTED}
    for name in set(tensors) - adapted - {embedding}:
        assert (tensors[name] == base_tensors[name]).all(), name


def test_the_configuration_speaks_of_the_new_ids(
    recipe: Recipe, built_base: Path, built: Path
) -> None:
    config = json.loads((built / "config.json").read_text())
    roles = json.loads((built / "tokenizer_config.json").read_text())
    vocab = json.loads((built / "tokenizer.json").read_text())["model"]["vocab"]
    assert config["vocab_size"] == len(vocab) == len(kept_of(recipe, built_base))
    for role in ("bos", "eos", "pad"):
        assert config[f"{role}_token_id"] == vocab[roles[f"{role}_token"]]


@pytest.mark.parametrize("text", VARIED, ids=lambda text: ascii(text[:16]))
def test_every_text_survives_the_cut_tokenizer(built: Path, text: str) -> None:
    tokenizer = Tokenizer.load(built / "tokenizer.json")
    assert tokenizer.decode(tokenizer.word(text)) == text


def test_words_whose_tokens_are_kept_are_encoded_as_the_base_does(
    recipe: Recipe, built_base: Path, built: Path
) -> None:
    kept = kept_of(recipe, built_base)
    full = Tokenizer.load(built_base / "tokenizer.json")
    cut = Tokenizer.load(built / "tokenizer.json")
    words = {word for user in demo_users() for said in user.signals for word in said.text.split()}
    alike = 0
    for word in words:
        before = full.word(f" {word}")
        if set(before) <= set(kept):
            assert tuple(kept[i] for i in cut.word(f" {word}")) == before
            alike += 1
    assert alike > len(words) / 4


def test_a_second_build_has_nothing_to_do(recipe: Recipe, built: Path) -> None:
    again = interests("students", "build", str(recipe.source), "--into", str(built.parents[1]))
    assert again.returncode == 0, again.stderr
    assert "is up to date" in again.stdout


@pytest.mark.parametrize(
    ("name", "base", "said"),
    [
        (None, "interests-small-base", "has another vocabulary than"),
        ("interests-small", "interests-small", "is no recipe without a delta"),
        ("interests-small-base", "interests-small-base", "is no recipe with a delta"),
        ("smollm2-base", "interests-small-base", "is no recipe with a delta"),
    ],
)
def test_a_student_is_built_as_an_adapter_only_over_its_own_base(
    recipe: Recipe, tmp_path: Path, name: str | None, base: str, said: str
) -> None:
    source = name or str(recipe.source)
    into = tmp_path / "students"
    done = interests("students", "build", source, "--adapter-of", base, "--into", str(into))
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert not into.exists()


def test_an_adapter_is_built_once_and_holds_the_tokenizer_of_the_merged_student(
    recipe: Recipe, built: Path, tmp_path: Path
) -> None:
    base, into = tmp_path / "base" / "1", tmp_path / "adapters"
    shutil.copytree(recipe.source, base)
    raw = yaml.safe_load((base / "student.yaml").read_text())
    del raw["weights"]["delta"]
    (base / "student.yaml").write_text(yaml.safe_dump({**raw, "name": "tiny-base"}))
    arguments = (str(recipe.source), "--adapter-of", str(base), "--into", str(into))
    first, again = (interests("students", "build", *arguments) for _ in range(2))
    assert first.returncode == again.returncode == 0, first.stderr
    assert "built" in first.stdout
    assert "is up to date" in again.stdout
    manifest, merged = load_manifest(into / "tiny" / "3"), load_manifest(built)
    verify(manifest, into / "tiny" / "3")
    assert (manifest.key, manifest.tokenizer) == (merged.key, merged.tokenizer)
    assert isinstance(manifest.weights, AdapterWeights)
    assert manifest.weights.base == "tiny-base@3"
    adapter = into / "tiny" / "3" / "adapter_model.safetensors"
    assert adapter.read_bytes() == (recipe.source / "adapter.safetensors").read_bytes()


def _edit(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def edit(source: Path) -> None:
        (source / name).write_bytes(change((source / name).read_bytes()))

    return edit


def _torn(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _repinned(change: Callable[[Path], None]) -> Callable[[Path], None]:
    """A wrong part that the manifest itself names: its checksum is right."""

    def edit(source: Path) -> None:
        change(source)
        weights = yaml.safe_load((source / "student.yaml").read_text())["weights"]
        write_manifest(source, {"tokenizer.json": "0" * 64, **weights["files"]})

    return edit


def _adapts_nothing_known(source: Path) -> None:
    module = "base_model.model.model.layers.30.self_attn.q_proj"
    sides = {"A": np.ones((2, 576), np.float32), "B": np.ones((576, 2), np.float32)}
    tensors = {f"{module}.lora_{side}.weight": values for side, values in sides.items()}
    write_adapter(source / "adapter.safetensors", tensors, ALPHA)


def _other_checksum(*place: str) -> Callable[[Path], None]:
    """Say in the manifest that something has the checksum of something else."""

    def edit(source: Path) -> None:
        manifest = yaml.safe_load((source / "student.yaml").read_text())
        *folders, last = place
        part = manifest["weights"]
        for folder in folders:
            part = part[folder]
        part[last] = hashlib.sha256(b"other").hexdigest()
        (source / "student.yaml").write_text(yaml.safe_dump(manifest))

    return edit


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_edit("vocabulary.json", lambda text: text + b" "), "vocabulary.json: sha256 is"),
        (_edit("adapter.safetensors", _torn), "adapter.safetensors: sha256 is"),
        (
            lambda source: (source / "adapter.safetensors").unlink(),
            "adapter.safetensors is missing",
        ),
        (
            _repinned(_edit("adapter.safetensors", _torn)),
            "adapter.safetensors: is not a whole safetensors file",
        ),
        (
            _repinned(_adapts_nothing_known),
            "layers.30.self_attn.q_proj.weight, which the base lacks",
        ),
        (
            _repinned(_edit("vocabulary.json", lambda text: text.replace(b"49152", b"32000"))),
            "`tokens` is 32000, but the base's vocabulary has 49152",
        ),
        (_other_checksum("sha256"), "Q4_1.gguf: sha256 is"),
        (_other_checksum("files", "config.json"), "config.json: sha256 is"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_a_recipe_with_a_wrong_part_is_one_clear_line_and_nothing_half_written(
    recipe: Recipe, tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    source, into = tmp_path / "source", tmp_path / "students"
    shutil.copytree(recipe.source, source)
    spoil(source)
    done = interests("students", "build", str(source), "--into", str(into))
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list((into / "tiny").iterdir()) == []


def test_a_training_base_is_the_same_cut_without_a_delta_made_once_and_mended(
    recipe: Recipe, built: Path, base_tensors: dict[str, Any], tmp_path: Path
) -> None:
    target, vocabulary = tmp_path / "base", recipe.source / "vocabulary.json"
    done = in_engine(BUILD_BASE, json.dumps(packaged()), str(vocabulary), str(target))
    assert done.split() == ["True", "False", "True"], "made, found whole, made again when damaged"
    for name in BUILT[:3]:
        assert (target / name).read_bytes() == (built / name).read_bytes()
    made = read_tensors(target / "model.safetensors")[0]
    adapted = f"{ADAPTED[0]}.weight"
    assert (made[adapted] == base_tensors[adapted]).all()
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def choose(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [engine_python(), "-m", "models.studies.vocabulary", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_a_vocabulary_is_chosen_by_old_articles_and_free_queries_alone(
    built_base: Path, tmp_path: Path
) -> None:
    rows = [
        {"title": "ferry ferry", "abstract": None, "published": "2021-06-30"},
        {"title": "harvest harvest harvest", "abstract": "", "published": "2021-07-01"},
        {"source": "nq", "query": "ferry"},
        {"source": "trec-mq", "query": "harvest harvest"},
    ]
    data, out = tmp_path / "rows.jsonl", tmp_path / "vocabulary.json"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = choose("--size", "330", "--before", "2021-07-01", "--out", str(out), str(data))
    assert done.returncode == 0, done.stderr
    assert "chosen by: 2 texts" in done.stdout
    assert "held out: 1 texts" in done.stdout
    tokenizer = json.loads((built_base / "tokenizer.json").read_text())
    kept = read_vocabulary(out, tokenizer)
    vocab = tokenizer["model"]["vocab"]
    assert vocab["Ġferry"] in kept
    assert vocab["Ġharvest"] not in kept
    assert vocab["system"] in kept, "every prompt in chat form has it"


def test_a_line_that_is_no_article_and_no_query_is_named(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"source": "nq", "query": "ferry"}\n{"title": "undated"}\n')
    done = choose("--size", "330", "--out", str(tmp_path / "out.json"), str(data))
    assert done.returncode == 2
    assert f"{data}:2: neither an article nor a query" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.json").exists()
