"""The stages of a request: what can go wrong in each, and the time that each took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from service.errors import NothingToServe, StageError
from service.records import Degraded

NOTHING_TO_SERVE, UNEXPECTED = "nothing_to_serve", "unexpected"
"""Reasons of failed stages that `degraded` never holds: such a request is refused."""
STAGE_REASONS: Mapping[str, tuple[str, ...]] = {
    "signals": (Degraded.SIGNALS_UNAVAILABLE, Degraded.SIGNALS_CORRUPT, UNEXPECTED),
    "generate": (
        Degraded.GENERATION_TIMEOUT,
        Degraded.GENERATION_UNAVAILABLE,
        Degraded.GENERATION_OVERLOADED,
        Degraded.GENERATION_INVALID,
        Degraded.GENERATION_PARTIAL,
        UNEXPECTED,
    ),
    "retrieve": (
        Degraded.RETRIEVAL_TIMEOUT,
        Degraded.RETRIEVAL_UNAVAILABLE,
        Degraded.RETRIEVAL_PARTIAL,
        Degraded.ENCODER_UNAVAILABLE,
        UNEXPECTED,
    ),
    "encode": (Degraded.ENCODER_UNAVAILABLE, UNEXPECTED),
    "search": (Degraded.RETRIEVAL_TIMEOUT, Degraded.RETRIEVAL_UNAVAILABLE, UNEXPECTED),
    "fuse": (NOTHING_TO_SERVE, UNEXPECTED),
}
"""What can go wrong in each stage. `encode` and `search` are parts of `retrieve`, done for the
texts that no cache has, so they are counted by the call and not by the request."""


def reason_of(error: Exception) -> str:
    """What an error that leaves a stage is counted as."""
    if isinstance(error, StageError):
        return error.reason
    return NOTHING_TO_SERVE if isinstance(error, NothingToServe) else UNEXPECTED


@dataclass(slots=True)
class StageClock:
    """Milliseconds per stage of one request, and since the clock was started."""

    ms: dict[str, float]
    started: float

    @classmethod
    def start(cls) -> StageClock:
        """A clock that starts now."""
        return cls({}, time.perf_counter())

    def elapsed_ms(self) -> float:
        """Milliseconds since the start. Not the loop's clock: uvloop's has whole milliseconds."""
        return (time.perf_counter() - self.started) * 1000

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - began)

    def add(self, stage: str, seconds: float) -> None:
        """Add time to a stage."""
        self.ms[stage] = self.ms.get(stage, 0.0) + seconds * 1000
