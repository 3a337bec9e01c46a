"""Encoders for loading articles: many texts, nobody waiting for an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from service.encoding.onnx import OnnxModel
from service.protocols import Encoder
from service.records import Vectors

_CALL = 64
"""Texts in one call to a server."""
_PATIENCE_S = 120.0


class OnnxArticles:
    """The model in this process, on a thread, with as many cores as it was given."""

    def __init__(self, model: OnnxModel) -> None:
        self._model = model

    @property
    def key(self) -> str:
        """`name@version`."""
        return self._model.manifest.key

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return self._model.manifest.dimension

    async def encode(self, texts: Sequence[str]) -> Vectors:
        """A row a text. Raises `EncoderUnavailable`."""
        return await asyncio.to_thread(self._model.encode, texts, "article")

    async def close(self) -> None:
        """Nothing is held."""


class RemoteArticles:
    """A server, asked for a part of the texts at a time."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @property
    def key(self) -> str:
        """`name@version`."""
        return self._encoder.key

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return self._encoder.dimension

    async def encode(self, texts: Sequence[str]) -> Vectors:
        """A row a text. Raises `EncoderUnavailable`."""
        parts = [np.zeros((0, self.dimension), np.float32)]
        for start in range(0, len(texts), _CALL):
            until = asyncio.get_running_loop().time() + _PATIENCE_S
            part = texts[start : start + _CALL]
            parts.append(await self._encoder.encode(part, "article", until))
        return np.concatenate(parts)

    async def close(self) -> None:
        """Close the connections."""
        await self._encoder.close()
