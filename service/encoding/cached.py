"""Vectors of texts, kept: users' lists and signals repeat, and a vector depends on nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache
from prometheus_client import Counter

from service.protocols import Encoder
from service.records import TextRole, Vectors


class CachedEncoder:
    """An `Encoder` in front of another, with the vectors of `size` texts, least recent out first.

    `lookups` counts texts by outcome, `hit` or `miss`. A text that a call holds twice is encoded
    once.
    """

    def __init__(self, encoder: Encoder, *, size: int, lookups: Counter) -> None:
        self._encoder = encoder
        self._kept: LRUCache[tuple[TextRole, str], npt.NDArray[np.float32]] = LRUCache(max(1, size))
        self._hit, self._miss = (lookups.labels(outcome) for outcome in ("hit", "miss"))

    @property
    def key(self) -> str:
        """`name@version` of the encoder behind."""
        return self._encoder.key

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return self._encoder.dimension

    async def encode(self, texts: Sequence[str], role: TextRole, until: float) -> Vectors:
        """Vectors of the texts; only those not known are asked for. Raises `EncoderUnavailable`."""
        found = {text: self._kept.get((role, text)) for text in dict.fromkeys(texts)}
        missing = [text for text, vector in found.items() if vector is None]
        self._hit.inc(len(found) - len(missing))
        self._miss.inc(len(missing))
        if missing:
            vectors = await self._encoder.encode(missing, role, until)
            for text, vector in zip(missing, vectors, strict=True):
                found[text] = self._kept[role, text] = vector.copy()  # else it keeps the whole run
        rows = [found[text] for text in texts]
        return np.array(rows, np.float32).reshape(len(texts), self.dimension)

    async def close(self) -> None:
        """Close the encoder behind."""
        await self._encoder.close()
