"""safetensors files with numpy alone: bfloat16 and float32 tensors.

Format (https://huggingface.co/docs/safetensors): 8 bytes of header length (little endian), JSON
header, then the tensors back to back. The library reads and checks a file, but gives numpy no
bfloat16; it writes a file whole, and in an order of its own, where here tensors are written one
after the other and the bytes follow from the arguments alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from service.errors import ConfigurationError

_TYPES: dict[str, np.dtype[Any]] = {"BF16": np.dtype("<u2"), "F32": np.dtype("<f4")}


def bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round to nearest even: the upper 16 bits of each float32, in the same shape."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded >> np.uint32(16)).astype("<u2")


def write_tensors(
    file: BinaryIO,
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
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    for tensor in values:
        file.write(bfloat16(tensor).tobytes())


def read_tensors(path: Path) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    """Every tensor of a file as float32, by name, and the file's metadata.

    Raises `ConfigurationError` that names the file, and the tensor where it is of another type.
    """
    # Whoever builds or trains students has the library; the gateway's environment does not.
    import safetensors

    library: Any = safetensors  # which has types for a part of itself
    try:
        raw = library.deserialize(path.read_bytes())
        with library.safe_open(path, framework="numpy") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except safetensors.SafetensorError as error:
        raise ConfigurationError(f"{path}: is not a whole safetensors file: {error}") from error
    # The library gives them in any order.
    named = sorted(raw, key=lambda entry: entry[0])
    return {name: _float32(path, name, tensor) for name, tensor in named}, metadata


def _float32(path: Path, name: str, tensor: Mapping[str, Any]) -> NDArray[np.float32]:
    kind = tensor["dtype"]
    if (dtype := _TYPES.get(kind)) is None:
        raise ConfigurationError(f"{path}: {name} is {kind}; only BF16 and F32 are read")
    values = np.frombuffer(tensor["data"], dtype=dtype)
    if kind == "BF16":
        values = (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return values.astype(np.float32, copy=False).reshape(tensor["shape"])
