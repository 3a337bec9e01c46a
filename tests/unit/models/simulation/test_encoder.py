"""The encoder of the simulated world: what it keeps, and what it says where it is not built."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from models.packaging.encoders import DEFAULT_ENCODER, find_encoder
from models.simulation import encoder as encoders
from models.simulation.encoder import WORLD_ENCODER, Encoder
from service.errors import ConfigurationError
from service.records import TextRole, Vectors

ENTRY = find_encoder(WORLD_ENCODER.parent.name)


class Counting:
    """A model that counts the texts it was given."""

    encoded: list[str]

    def __init__(self, manifest: object, folder: Path, threads: int) -> None:
        """Nothing is loaded."""

    def encode(self, texts: Sequence[str], role: TextRole) -> Vectors:
        self.encoded.extend(f"{role}: {text}" for text in texts)
        vectors = np.zeros((len(texts), ENTRY.manifest.dimension), np.float32)
        vectors[:, 0] = [len(text) for text in texts]
        vectors[:, 1] = role == "query"
        return vectors


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the model was given."""
    monkeypatch.setattr(encoders, "OnnxModel", Counting)
    monkeypatch.setattr(Counting, "encoded", [], raising=False)
    return Counting.encoded


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "built"
    folder.mkdir()
    shutil.copy(ENTRY.folder / "encoder.yaml", folder)
    return folder


def test_the_encoder_of_the_world_is_in_the_registry_and_not_the_one_that_searches() -> None:
    assert str(WORLD_ENCODER).endswith(f"{ENTRY.manifest.name}/{ENTRY.manifest.version}")
    assert ENTRY.manifest.name != DEFAULT_ENCODER


def test_texts_seen_before_are_not_encoded_again(
    tmp_path: Path, built: Path, encoded: list[str]
) -> None:
    told: list[int] = []
    first = Encoder(built, tmp_path / "kept").encode(["a", "bc"], "article", told.append)
    again = Encoder(built, tmp_path / "kept").encode(["a", "bc"], "article", told.append)
    assert encoded == ["article: a", "article: bc"]
    np.testing.assert_array_equal(first, again)
    assert told == [2, 2]


def test_a_query_is_another_text_than_an_article_of_the_same_words(
    tmp_path: Path, built: Path, encoded: list[str]
) -> None:
    encoder = Encoder(built, tmp_path / "kept")
    assert encoder.encode(["a"], "article").tolist() != encoder.encode(["a"], "query").tolist()
    assert encoded == ["article: a", "query: a"]


def test_vectors_of_another_encoder_are_not_taken_over(
    tmp_path: Path, built: Path, encoded: list[str]
) -> None:
    Encoder(built, tmp_path / "kept").encode(["a"], "article")
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(find_encoder(DEFAULT_ENCODER).folder / "encoder.yaml", other)
    Encoder(other, tmp_path / "kept").encode(["a"], "article")
    assert encoded == ["article: a", "article: a"]


def test_one_that_is_not_built_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="`interests encoders build e5-small-v2`") as said:
        Encoder(tmp_path / "gone", tmp_path).encode(["a"], "query")
    assert "--world-encoder" in str(said.value)


def test_vectors_that_cannot_be_kept_name_the_folder_and_the_option(
    tmp_path: Path, built: Path, encoded: list[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"file/kept: cannot be written.*--cache"):
        Encoder(built, tmp_path / "file" / "kept").encode(["a"], "query")
