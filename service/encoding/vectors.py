"""What an encoder gives, checked: finite numbers, one row a text, each row of length 1."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from service.errors import EncoderUnavailable
from service.records import Vectors


def unit_rows(raw: npt.NDArray[np.floating], texts: int, dimension: int) -> Vectors:
    """`raw` with rows of length 1. A row of zeros, that of a text without a token, stays zeros.

    Raises `EncoderUnavailable` where the shape is another or a number is not finite.
    """
    if raw.shape != (texts, dimension):
        shape = "x".join(map(str, raw.shape))
        raise EncoderUnavailable(
            f"the encoder gave {shape} numbers for {texts} texts of {dimension} dimensions"
        )
    if not np.isfinite(raw).all():
        raise EncoderUnavailable("the encoder gave a vector with numbers that are not finite")
    vectors = np.asarray(raw, np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return unit
