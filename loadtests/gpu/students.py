"""The students that are measured: one that serves, and a larger one without trained weights.

The larger one has the layers of Llama-3.2-1B and the vocabulary, tokenizer and template of the one
that serves, so prompts are the same; with its input embeddings it has 1.0 billion parameters.
vLLM fills it with random weights (`--load-format dummy`): how fast it computes does not depend on
them. What it writes is no list, so it writes `max_tokens`, and the gateway searches own signals.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from service.manifest import MANIFEST, Manifest, load_manifest, sha256_of

_LLAMA_1B = {
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
}
_TINY = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
}
_TOKENS = 32
_WRITTEN_FOR_IT = ("config.json", MANIFEST, "model.safetensors")


@dataclass(frozen=True, slots=True)
class Measurable:
    """A student that an engine can be started with."""

    name: str
    manifest: Manifest
    folder: Path


def serving(student: Path) -> Measurable:
    """The built student whose `student.yaml` this is."""
    manifest = load_manifest(student)
    return Measurable(manifest.key, manifest, student.parent)


def untrained(student: Path, folder: Path, *, tiny: bool) -> Measurable:
    """Write the larger one into a new folder. `tiny`: one of next to no parameters instead."""
    folder.mkdir()
    for file in student.parent.iterdir():
        if file.name not in _WRITTEN_FOR_IT:
            (folder / file.name).symlink_to(file.resolve())
    config = json.loads((student.parent / "config.json").read_text(encoding="utf-8"))
    config |= _TINY if tiny else _LLAMA_1B
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    manifest: dict[str, Any] = yaml.safe_load(student.read_text(encoding="utf-8"))
    name = "untrained-tiny" if tiny else "untrained-1b"
    manifest |= {
        "name": name,
        "version": "1",
        "parameters": parameters(config),
        "weights": {
            "kind": "path",
            "files": {"config.json": sha256_of(folder / "config.json")},
        },
    }
    manifest["decoding"]["max_tokens"] = _TOKENS
    manifest["engine"]["flags"] = ["--load-format", "dummy"]
    (folder / MANIFEST).write_text(yaml.safe_dump(manifest), encoding="utf-8")
    return Measurable(f"{name}@1", load_manifest(folder / MANIFEST), folder)


def parameters(config: dict[str, Any]) -> int:
    """Of a Llama by its `config.json`, whose output uses the input's embeddings."""
    hidden, layers, inner = (
        config[name] for name in ("hidden_size", "num_hidden_layers", "intermediate_size")
    )
    heads = config["head_dim"] * config["num_attention_heads"]
    shared = config["head_dim"] * config["num_key_value_heads"]
    attention = 2 * hidden * heads + 2 * hidden * shared
    layer = attention + 3 * hidden * inner + 2 * hidden
    return int(config["vocab_size"] * hidden + layers * layer + hidden)
