"""PEFT's two files of a LoRA adapter, as vLLM serves them: made of a delta, and looked at.

To look at one, only the header of its tensors is read. vLLM leaves out, without a word, what it
does not know of a configuration; what would change the answers of the model is refused here.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.packaging.adapter_file import TENSOR_NAME, read_delta
from models.packaging.hugging_face import read_json, tensors_of
from service.errors import ConfigurationError

PEFT_CONFIG = "adapter_config.json"
PEFT_WEIGHTS = "adapter_model.safetensors"
PEFT_FILES = (PEFT_CONFIG, PEFT_WEIGHTS)
_NOT_SERVED = (
    *("use_dora", "modules_to_save", "rank_pattern", "alpha_pattern", "lora_bias"),
    *("layer_replication", "trainable_token_indices", "target_parameters"),
)


@dataclass(frozen=True, slots=True)
class PeftFolder:
    """What the files of an adapter say of it."""

    rank: int
    parameters: int
    shapes: dict[str, tuple[int, int]]
    """(out, in) of each matrix that it adapts, by the base's name, `model.….q_proj.weight`."""


def write_peft(delta: Path, into: Path, base: str) -> None:
    """Write a delta as PEFT's files into a folder; the tensors' file is the delta's, to the byte.

    `base` is the student it is added to. Raises `ConfigurationError` where the delta is no good, or
    its matrices have several ranks, each with a scale of its own, which vLLM does not read.
    """
    adapter = read_delta(delta)
    ranks = {a.shape[0] for a, _ in adapter.pairs.values()}
    if len(ranks) != 1:
        raise ConfigurationError(
            f"{delta}: has matrices of the ranks {', '.join(map(str, sorted(ranks)))}, and an "
            "engine serves adapters of one rank: build the student with the adapter merged in"
        )
    modules = {name.removesuffix(".weight").rpartition(".")[2] for name in adapter.pairs}
    alpha = adapter.lora_alpha
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": ranks.pop(),
        "lora_alpha": int(alpha) if alpha.is_integer() else alpha,
        "target_modules": sorted(modules),
        "bias": "none",
        "inference_mode": True,
    }
    (into / PEFT_CONFIG).write_text(json.dumps(config, indent=1), encoding="utf-8")
    shutil.copyfile(delta, into / PEFT_WEIGHTS)


def read_peft(folder: Path) -> PeftFolder:
    """Look at an adapter's two files.

    Raises `ConfigurationError` that names the file and what in it is missing, torn or not served.
    """
    for name in PEFT_FILES:
        if not (folder / name).is_file():
            raise ConfigurationError(
                f"{folder / name} is missing; an adapter is what PEFT's save_pretrained writes"
            )
    path = folder / PEFT_CONFIG
    config = read_json(path)
    if config.get("peft_type", "LORA") != "LORA":
        raise ConfigurationError(f"{path}: peft_type is {config['peft_type']}, and LORA is served")
    if config.get("bias", "none") != "none":
        raise ConfigurationError(f"{path}: bias is {config['bias']}, which vLLM does not serve")
    if used := [name for name in _NOT_SERVED if config.get(name)]:
        raise ConfigurationError(
            f"{path}: {used[0]} is used, which vLLM does not serve: train without it, or merge the "
            "adapter into its base"
        )
    rank = config.get("r")
    if not isinstance(rank, int) or rank < 1:
        raise ConfigurationError(f"{path}: r must be the rank, a whole number above 0")
    sides: dict[str, dict[str, list[int]]] = {}
    parameters = 0
    for name, shape in tensors_of(folder / PEFT_WEIGHTS).items():
        if (found := TENSOR_NAME.fullmatch(name)) is None or len(shape) != 2:
            raise ConfigurationError(
                f"{folder / PEFT_WEIGHTS}: {name} is not a matrix of a LoRA adapter"
            )
        sides.setdefault(f"{found['module']}.weight", {})[found["side"]] = shape
        parameters += shape[0] * shape[1]
    return PeftFolder(rank, parameters, _shapes(folder / PEFT_WEIGHTS, sides, rank))


def _shapes(
    path: Path, sides: dict[str, dict[str, list[int]]], rank: int
) -> dict[str, tuple[int, int]]:
    if not sides:
        raise ConfigurationError(f"{path}: adapts nothing")
    shapes = {}
    for name, side in sides.items():
        if len(side) != 2:
            raise ConfigurationError(f"{path}: the adapter of {name} has only lora_{min(side)}")
        if {side["A"][0], side["B"][1]} != {rank}:
            raise ConfigurationError(
                f"{path}: the adapter of {name} has the ranks {side['A'][0]} and {side['B'][1]}, "
                f"but {PEFT_CONFIG} says {rank}"
            )
        shapes[name] = (side["B"][0], side["A"][1])
    return shapes


def check_fits(adapter: PeftFolder, folder: Path, base: Path) -> None:
    """Raises `ConfigurationError` where a matrix of the base in a folder has another shape.

    Names that the base does not have are vLLM's to judge: some models join matrices into one.
    """
    has: dict[str, Any] = {}
    for file in sorted(base.glob("*.safetensors")):
        has |= tensors_of(file)
    for name, shape in adapter.shapes.items():
        if name in has and tuple(has[name]) != shape:
            raise ConfigurationError(
                f"{folder / PEFT_WEIGHTS}: the adapter of {name} is for {shape[0]} × {shape[1]}, "
                f"but that of {base} is {' × '.join(map(str, has[name]))}: it is of another base"
            )
    if not has.keys() & adapter.shapes.keys():
        raise ConfigurationError(
            f"{folder / PEFT_WEIGHTS}: adapts {min(adapter.shapes)} and others, none of which "
            f"{base} has: it is of another base"
        )
