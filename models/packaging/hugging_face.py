"""A Hugging Face folder as a student: which files the engine reads, and what they say of the model.

Nothing is loaded: `config.json` and the headers of the safetensors files say enough.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.errors import ConfigurationError

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
TEMPLATE = "template.yaml"
_INDEX = "model.safetensors.index.json"
_READ = {".json", ".safetensors", ".txt", ".model", ".jinja"}
"""Endings of the files that an engine may read in such a folder."""
_MAX_HEADER = 100 * 2**20
"""Bytes of a safetensors header; the library refuses longer ones."""
_CONTEXT = 640
_MAX_TOKENS = 48


@dataclass(frozen=True, slots=True)
class Folder:
    """What a Hugging Face folder says of its model."""

    architecture: str
    parameters: int
    context: int | None
    """Tokens that the model was made for, where its configuration says so."""
    files: tuple[str, ...]
    """The files for the engine, without the tokenizer, by name."""


def read_folder(path: Path) -> Folder:
    """Look at a folder with `config.json`, `tokenizer.json` and one or more safetensors files.

    Raises `ConfigurationError` that names the file that is missing or torn, and the remedy.
    """
    for needed, why in ((CONFIG, "what model it is"), (TOKENIZER, "how text becomes tokens")):
        if not (path / needed).is_file():
            raise ConfigurationError(
                f"{path / needed} is missing: it says {why}; save the model there with "
                "save_pretrained, its tokenizer too"
            )
    config = read_json(path / CONFIG)
    architectures = config.get("architectures")
    if not (isinstance(architectures, list) and architectures):
        raise ConfigurationError(f"{path / CONFIG}: names no `architectures`; add the model's own")
    weights = sorted(path.glob("*.safetensors"))
    _require_shards(path, {file.name for file in weights})
    context = config.get("max_position_embeddings")
    return Folder(
        str(architectures[0]),
        sum(math.prod(shape) for file in weights for shape in tensors_of(file).values()),
        context if isinstance(context, int) else None,
        tuple(
            file.name
            for file in sorted(path.iterdir())
            if file.is_file() and file.suffix in _READ and not file.name.startswith(".")
            if file.name != TOKENIZER
        ),
    )


def first_manifest(path: Path, found: Folder) -> dict[str, Any]:
    """The manifest of a folder that has none: name and version are those of the folder.

    `models/mine/2` gives `mine@2`, `Qwen2.5-0.5B` gives `qwen2-5-0-5b@1`. What no file says (the
    licence, where the model was published) is said to be not stated.
    """
    whole = path.resolve()
    name, version = whole.name, "1"
    if re.fullmatch(r"\d[\d.]*", name):
        name, version = whole.parent.name, name
    context = min(_CONTEXT, found.context or _CONTEXT)
    return {
        "name": re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63] or "student",
        "version": version,
        "weights": {"kind": "path"},
        "tokenizer": {"file": TOKENIZER},
        "template": {"file": TEMPLATE},
        "output": "lines",
        "decoding": {"max_tokens": min(_MAX_TOKENS, context // 5), "stop": ["\n\n"]},
        "prompt_budget": context * 4 // 5,
        "timeout_ms": 15_000,
        "engine": {"max_model_len": context},
        "lineage": {"base": name, "source": "not stated"},
        "licence": "not stated",
    }


def _require_shards(path: Path, present: set[str]) -> None:
    """Every file of weights is there that the folder's own index names, and one at the least."""
    index = read_json(path / _INDEX) if (path / _INDEX).is_file() else {}
    named = index.get("weight_map", {})
    if not isinstance(named, dict):
        raise ConfigurationError(f"{path / _INDEX}: has no `weight_map`; fetch it again")
    if missing := sorted(set(map(str, named.values())) - present):
        raise ConfigurationError(
            f"{path / missing[0]} is missing, though {_INDEX} names it; fetch it again"
        )
    if not present:
        raise ConfigurationError(
            f"{path} holds no *.safetensors; save the model there with "
            "save_pretrained(…, safe_serialization=True)"
        )


def tensors_of(file: Path) -> dict[str, list[int]]:
    """The shape of each tensor in a safetensors file, by its header.

    Raises `ConfigurationError` that names the file where it is missing or torn.
    """
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if length > _MAX_HEADER:
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(opened.read(length))
        tensors = list(_tensors(header))
        end = 8 + length + max((int(tensor["data_offsets"][1]) for _, tensor in tensors), default=0)
        if file.stat().st_size != end:
            raise ValueError(f"{file.stat().st_size} bytes instead of {end}")
        return {name: [int(size) for size in tensor["shape"]] for name, tensor in tensors}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{file}: is not a whole safetensors file ({error}); fetch it again"
        ) from error


def _tensors(header: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, about) for name, about in header.items() if name != "__metadata__")


def read_json(file: Path) -> dict[str, Any]:
    """A file that holds a JSON object. Raises `ConfigurationError` where it does not."""
    try:
        said = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file}: cannot be read: {error}; fetch it again") from error
    if not isinstance(said, dict):
        raise ConfigurationError(f"{file}: must hold a JSON object; fetch it again")
    return said
