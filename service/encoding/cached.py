"""Vectors of texts, kept: users' lists and signals repeat, and a vector depends on nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache
from prometheus_client import Counter

from service.errors import EncoderUnavailable
from service.protocols import Encoder
from service.records import TextRole, Vectors
from service.shared_work import SharedWork

_Key = tuple[TextRole, str]
_Vector = npt.NDArray[np.float32]
_Vectors = dict[str, _Vector]


class CachedEncoder:
    """An `Encoder` in front of another, with the vectors of `size` texts, least recent out first.

    `lookups` counts texts by outcome, `hit` or `miss`. A text that a call holds twice, or that
    another call is waiting for, is encoded once.
    """

    def __init__(self, encoder: Encoder, *, size: int, lookups: Counter) -> None:
        self._encoder = encoder
        self._kept: LRUCache[_Key, _Vector] = LRUCache(max(1, size))
        self._coming: dict[_Key, SharedWork[_Vectors]] = {}
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
        while missing:
            found |= await self._awaited(missing, role, until)
            missing = [text for text in missing if found[text] is None]
        rows = [found[text] for text in texts]
        return np.array(rows, np.float32).reshape(len(texts), self.dimension)

    async def _awaited(
        self, texts: Sequence[str], role: TextRole, until: float
    ) -> dict[str, _Vector | None]:
        """Vectors of texts; None where another call had asked for it first, and got none.

        That call may have had less time than this one, so it is asked for again.
        """
        found: dict[str, _Vector | None] = dict.fromkeys(texts)
        others = {work for text in texts if (work := self._coming.get((role, text)))}
        own = [text for text in texts if (role, text) not in self._coming]
        mine = self._begin(own, role, until) if own else None
        try:
            async with asyncio.timeout_at(until):
                for work in others:
                    with suppress(EncoderUnavailable):
                        found |= {t: v for t, v in (await work.result()).items() if t in found}
        except TimeoutError:
            raise EncoderUnavailable("the encoder did not answer in time") from None
        if mine:
            found |= await mine.result()
        return found

    def _begin(self, texts: Sequence[str], role: TextRole, until: float) -> SharedWork[_Vectors]:
        work = SharedWork(self._encode(texts, role, until), ends_when_left=True)
        self._coming |= dict.fromkeys([(role, text) for text in texts], work)

        def ended(_: object) -> None:  # before any who wait for it go on
            for text in texts:
                del self._coming[role, text]

        work.task.add_done_callback(ended)
        return work

    async def _encode(self, texts: Sequence[str], role: TextRole, until: float) -> _Vectors:
        vectors = await self._encoder.encode(texts, role, until)
        # Copies, or each would keep the whole run.
        encoded = {text: vector.copy() for text, vector in zip(texts, vectors, strict=True)}
        for text, vector in encoded.items():
            self._kept[role, text] = vector
        return encoded

    async def close(self) -> None:
        """Close the encoder behind."""
        await self._encoder.close()
