"""A student's delta: a LoRA adapter in PEFT's layout, merged into the base's weights.

The file is `safetensors`, bfloat16 or float32, with two tensors for each adapted W (out, in):

    base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight    A, (r, in)
    base_model.model.model.layers.3.self_attn.q_proj.lora_B.weight    B, (out, r)

and the metadata key `lora_alpha`. The merged matrix is W + (lora_alpha / r) · B A, with `r` from
the shapes; PEFT's `use_rslora`, which scales otherwise, is not supported.

A matrix product by BLAS sums in an order that differs from machine to machine, and so do its last
bits. Here the r outer products are summed one after the other by elementwise float32 operations,
each of which IEEE 754 defines to the bit: the merged weights are the same everywhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.packaging.safetensors import read_tensors, write_tensors
from service.errors import ConfigurationError
from service.files import whole_file

Matrix = NDArray[np.float32]
TENSOR_NAME = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
"""What PEFT calls a tensor of an adapter."""
_ROWS = 64
"""Rows merged together: they and the products beside them stay in a core's cache."""


@dataclass(frozen=True, slots=True)
class Delta:
    """An adapter: (A, B) by the base's names, such as `model.layers.3.self_attn.q_proj.weight`."""

    path: Path
    pairs: Mapping[str, tuple[Matrix, Matrix]]
    lora_alpha: float

    def check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raises `ConfigurationError` where the base's tensors of these shapes cannot take it."""
        for name, (a, b) in self.pairs.items():
            if name not in shapes:
                raise ConfigurationError(f"{self.path}: adapts {name}, which the base lacks")
            if shapes[name] != (b.shape[0], a.shape[1]):
                raise ConfigurationError(
                    f"{self.path}: the adapter of {name} is for {b.shape[0]} × {a.shape[1]}, "
                    f"but the base's is {' × '.join(map(str, shapes[name]))}"
                )

    def merged(self, name: str, weight: Matrix) -> Matrix:
        """The base's tensor with this name, adapted where the delta adapts it."""
        if name not in self.pairs:
            return weight
        a, b = self.pairs[name]
        return merge(weight, a, b, self.lora_alpha / a.shape[0])


def read_delta(path: Path) -> Delta:
    """Read an adapter. Raises `ConfigurationError` naming the file and the tensor that is wrong."""
    tensors, metadata = read_tensors(path)
    try:
        lora_alpha = float(metadata["lora_alpha"])
    except (KeyError, ValueError):
        lora_alpha = math.nan
    if not 0 < lora_alpha < math.inf:
        raise ConfigurationError(f"{path}: its metadata must say `lora_alpha`, a number above 0")
    sides: dict[str, dict[str, Matrix]] = {}
    for name, values in tensors.items():
        if (found := TENSOR_NAME.fullmatch(name)) is None:
            raise ConfigurationError(f"{path}: {name} is not a tensor of a LoRA adapter")
        if values.ndim != 2 or not values.size:
            raise ConfigurationError(f"{path}: {name} has the shape {values.shape}, not a matrix's")
        if not np.isfinite(values).all():
            raise ConfigurationError(f"{path}: {name} holds values that are not finite")
        sides.setdefault(f"{found['module']}.weight", {})[found["side"]] = values
    pairs = {}
    for name, side in sides.items():
        if len(side) != 2:
            raise ConfigurationError(f"{path}: the adapter of {name} has only lora_{min(side)}")
        if side["A"].shape[0] != side["B"].shape[1]:
            raise ConfigurationError(
                f"{path}: lora_A and lora_B of {name} have the ranks "
                f"{side['A'].shape[0]} and {side['B'].shape[1]}"
            )
        pairs[name] = (side["A"], side["B"])
    return Delta(path, pairs, lora_alpha)


def merge(weight: Matrix, a: Matrix, b: Matrix, scale: float) -> Matrix:
    """`weight` + `scale` · `b` `a`: (out, in), (r, in), (out, r) → (out, in), all float32.

    The same bits on every machine: see the module.
    """
    merged = np.empty_like(weight, dtype=np.float32)
    for start in range(0, len(weight), _ROWS):
        rows = slice(start, start + _ROWS)
        update = np.zeros_like(merged[rows])
        product = np.empty_like(update)
        for rank in range(len(a)):
            np.multiply(b[rows, rank, None], a[rank], out=product)
            np.add(update, product, out=update)
        np.multiply(update, np.float32(scale), out=update)
        np.add(weight[rows], update, out=merged[rows])
    return merged


def write_adapter(path: Path, tensors: Mapping[str, Matrix], lora_alpha: float) -> None:
    """Write an adapter's tensors (float32, by PEFT's names) as bfloat16, in the order of the names.

    The file is complete or not there.
    """
    names = sorted(tensors)
    with whole_file(path) as file:
        write_tensors(
            file,
            {name: tensors[name].shape for name in names},
            (tensors[name] for name in names),
            {"format": "pt", "lora_alpha": f"{lora_alpha:g}"},
        )
