"""Encoders that tests can see into."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from service.errors import EncoderUnavailable
from service.records import TextRole, Vectors


def vector_of(text: str) -> Vectors:
    """Some direction for each text, always the same."""
    seed = int.from_bytes(text.encode()[:8].ljust(8, b"."), "big") % 2**32
    raw = np.random.default_rng(seed).normal(size=4)
    return np.asarray(raw / np.linalg.norm(raw), np.float32)


@dataclass
class FakeEncoder:
    """Encodes with `vector_of`; remembers what it was asked; fails while `broken`.

    While `held` is set it answers nothing.
    """

    key: str = "fake@1"
    dimension: int = 4
    broken: bool = False
    asked: list[tuple[TextRole, tuple[str, ...]]] = field(default_factory=list)
    closed: bool = False
    held: asyncio.Event | None = None

    async def encode(self, texts: Sequence[str], role: TextRole, until: float) -> Vectors:
        self.asked.append((role, tuple(texts)))
        if self.held:
            await self.held.wait()
        if self.broken:
            raise EncoderUnavailable("told to fail")
        return np.array([vector_of(text) for text in texts], np.float32).reshape(len(texts), 4)

    async def close(self) -> None:
        self.closed = True
