"""The sentence encoder that makes the simulated world: e5-small-v2, unless another is given.

It says which articles, searches and goods are about the same thing. It is not the encoder that
searches by default: what one encoder found near, the same one would find again, and a comparison
would flatter it. It runs as the service's encoders do, so no torch is needed; vectors of texts seen
before are kept on disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from models.progress import Progress, untold
from service.encoding.manifest import EncoderManifest, load_encoder_manifest
from service.encoding.onnx import OnnxModel
from service.errors import ConfigurationError
from service.files import whole_file
from service.records import TextRole, Vectors

WORLD_ENCODER = Path(".local/encoders/e5-small-v2/1")
"""Where `interests encoders build e5-small-v2` leaves it."""
CACHE = Path(".cache/encoder")
_CALL = 512
"""Texts encoded between two words of progress."""


def load_world_encoder(folder: Path) -> EncoderManifest:
    """The manifest of the encoder in a folder. Raises `ConfigurationError` with the remedy."""
    if not folder.exists():
        raise ConfigurationError(
            f"{folder}: the encoder that users are simulated with is not there; run "
            "`interests encoders build e5-small-v2`, or name a built one with --world-encoder"
        )
    return load_encoder_manifest(folder)


class Encoder:
    """Texts into vectors. The model is loaded when the first text without a kept vector comes."""

    def __init__(self, folder: Path, cache: Path, threads: int = 1) -> None:
        """`folder` is that of a built encoder, `cache` that of the kept vectors."""
        self._folder = folder
        self._cache = cache
        self._threads = threads

    @property
    def key(self) -> str:
        """`name@version`. Raises `ConfigurationError` where it is not built."""
        return self._manifest.key

    @property
    def unrelated(self) -> float:
        """Its cosine of texts that have nothing to do with each other. Raises as `key` does."""
        return self._manifest.unrelated

    def encode(self, texts: Sequence[str], role: TextRole, progress: Progress = untold) -> Vectors:
        """Vectors of `texts`, (n, dimension), each row of length 1: a product is a cosine.

        Kept on disk under the checksum of encoder, role and texts, so the same texts cost nothing
        the second time. `progress` is called with the number of texts just done. Raises
        `ConfigurationError`: the encoder is not built, its files are others, or the disk is full.
        """
        told = "\0".join((self._manifest.model.sha256, role, *texts))
        digest = hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()
        kept = self._cache / f"vectors-{digest[:32]}.npy"
        if kept.is_file():
            progress(len(texts))
            loaded: Vectors = np.load(kept)
            return loaded
        vectors = self._run(texts, role, progress)
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            with whole_file(kept) as file:
                np.save(file, vectors)
        except OSError as error:
            raise ConfigurationError(
                f"{self._cache}: cannot be written: {error.strerror}; make room, or choose another "
                "--cache"
            ) from error
        return vectors

    def _run(self, texts: Sequence[str], role: TextRole, progress: Progress) -> Vectors:
        parts = [np.zeros((0, self._manifest.dimension), np.float32)]
        for start in range(0, len(texts), _CALL):
            part = texts[start : start + _CALL]
            parts.append(self._model.encode(part, role))
            progress(len(part))
        return np.concatenate(parts)

    @cached_property
    def _manifest(self) -> EncoderManifest:
        return load_world_encoder(self._folder)

    @cached_property
    def _model(self) -> OnnxModel:
        return OnnxModel(self._manifest, self._folder, self._threads)
