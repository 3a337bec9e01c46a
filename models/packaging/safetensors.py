"""safetensors files by hand, with numpy alone: bfloat16 and float32 tensors.

Format (https://huggingface.co/docs/safetensors): 8 bytes of header length (little endian), JSON
header, then the tensors back to back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import ConfigurationError

_MAX_HEADER = 100 * 2**20
"""Bytes; the format's own limit."""
_TYPES: dict[str, np.dtype[Any]] = {"BF16": np.dtype("<u2"), "F32": np.dtype("<f4")}


def bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round to nearest even: the upper 16 bits of each float32, in the same shape."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded >> np.uint32(16)).astype("<u2")


def write_tensors(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]],
    values: Iterable[NDArray[np.float32]],
    metadata: Mapping[str, str],
) -> None:
    """Write one file of bfloat16 tensors: names and shapes first, then their values in that order.

    The values are asked for one by one, so that memory stays at one tensor.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    at = 0
    for name, shape in shapes.items():
        size = math.prod(shape) * 2
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for one in values:
            file.write(bfloat16(one).tobytes())


def read_tensors(path: Path) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    """Every tensor of a file as float32, and the file's metadata.

    Raises `ConfigurationError` that names the file, and the tensor where one is at fault.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    length = int.from_bytes(content[:8], "little")
    try:
        if not 0 < length <= min(_MAX_HEADER, len(content) - 8):
            raise ValueError
        header = json.loads(content[8 : 8 + length])
        metadata = {str(k): str(v) for k, v in header.pop("__metadata__", {}).items()}
        entries = {name: _entry(entry) for name, entry in header.items()}
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        raise ConfigurationError(f"{path}: is not a whole safetensors file") from None
    data = memoryview(content)[8 + length :]
    tensors = {}
    for name, (kind, shape, start, end) in entries.items():
        if (dtype := _TYPES.get(kind)) is None:
            raise ConfigurationError(f"{path}: {name} is {kind}; only BF16 and F32 are read")
        if end - start != math.prod(shape) * dtype.itemsize or not 0 <= start <= end <= len(data):
            raise ConfigurationError(f"{path}: {name} is cut off or has another size than it says")
        raw = np.frombuffer(data[start:end], dtype=dtype)
        if kind == "BF16":
            raw = (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)
        tensors[name] = raw.astype(np.float32, copy=False).reshape(shape)
    return tensors, metadata


def _entry(raw: Mapping[str, Any]) -> tuple[str, tuple[int, ...], int, int]:
    start, end = (int(place) for place in raw["data_offsets"])
    shape = tuple(int(size) for size in raw["shape"])
    if min(shape, default=0) < 0:
        raise ValueError
    return str(raw["dtype"]), shape, start, end
