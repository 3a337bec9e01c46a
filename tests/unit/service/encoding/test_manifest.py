"""An encoder's files are checked, and read for that once as long as they stay as they are."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from service.encoding import manifest as manifests
from service.encoding.manifest import EncoderManifest, verify_encoder
from service.errors import ConfigurationError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(b"model")
    (tmp_path / "tokenizer.json").write_bytes(b"tokenizer")
    return tmp_path


@pytest.fixture
def about() -> EncoderManifest:
    def named(file: str, content: bytes) -> dict[str, str]:
        return {"file": file, "sha256": hashlib.sha256(content).hexdigest()}

    source = {
        "group": "com.example",
        "artifact": "tiny",
        "version": "1",
        "sha256": "0" * 64,
        "model": "m",
        "tokenizer": "t",
    }
    return EncoderManifest.model_validate(
        {
            "name": "tiny",
            "version": "1",
            "dimension": 8,
            "max_tokens": 8,
            "pooling": "mean",
            "source": source,
            "model": named("model.onnx", b"model"),
            "tokenizer": named("tokenizer.json", b"tokenizer"),
            "licence": "ours",
        }
    )


def test_files_that_stay_as_they_are_are_read_once(
    folder: Path, about: EncoderManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def sha256_of(path: Path) -> str:
        read.append(path.name)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(manifests, "sha256_of", sha256_of)
    for _ in range(3):
        verify_encoder(about, folder)
    assert read == ["model.onnx", "tokenizer.json"]


def test_a_file_that_has_changed_since_is_refused(folder: Path, about: EncoderManifest) -> None:
    verify_encoder(about, folder)
    model = folder / "model.onnx"
    os.utime(model, ns=(1, 1))
    verify_encoder(about, folder)
    model.write_bytes(b"madel")
    with pytest.raises(ConfigurationError, match=r"model\.onnx: sha256 is .* tiny@1"):
        verify_encoder(about, folder)
