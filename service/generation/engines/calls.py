"""What goes to an engine and what comes back: the words that batching is written in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from service.errors import GenerationError, GenerationOverloaded
from service.records import Decoding


@dataclass(frozen=True, slots=True)
class Call:
    """One prompt for the engine. `affinity` (the user) leads to the replica that knows its prefix.

    Calls that differ in nothing but `affinity` are the same work: they share one completion.
    """

    token_ids: tuple[int, ...]
    model: str
    decoding: Decoding
    affinity: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample's text. `finished` is False where it was cut off, by the deadline, `max_tokens`
    or the engine: then the last line may be half a line."""

    text: str
    finished: bool


@dataclass(frozen=True, slots=True)
class Completion:
    """The samples of one call, in the engine's order.

    Where `finished` is False the deadline came before the engine's end, or `cut_by_engine` is True:
    token counts are then what had been seen (`output_tokens` a lower bound, `cached_tokens` 0).
    """

    samples: tuple[Sample, ...]
    finished: bool
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    engine: str
    cut_by_engine: bool = False
    """The engine ended a sample before its end: it shut down, failed, or would not go on."""


OnLate = Callable[[Completion], Awaitable[None]]


class EngineRefused(GenerationError):
    """The engine understood the call and will not serve it (4xx): trying again is no use."""


class EngineFailed(GenerationError):
    """The engine could not be reached, broke off, or answered 5xx: another may do better."""


class EngineUnfit(EngineFailed):
    """The engine is alive but not ours to use: another model, or it does not accept our key."""


class EngineBusy(GenerationOverloaded):
    """The engine is well and has no room at the moment: 429, or 503 with a Retry-After.

    `retry_after_s` is what it asked to wait, in seconds; 0 where it did not say.
    """

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Transcript(Protocol):
    """Where an engine writes what it streams, piece by piece."""

    def add(self, payload: bytes) -> None:
        """Take one event's data, as it came."""
        ...

    @property
    def ended(self) -> bool:
        """True once the engine has said that there is nothing more to come."""
        ...


class Engine(Protocol):
    """One replica of an engine, as the dispatcher sees it."""

    @property
    def url(self) -> str:
        """Its base URL: its name in metrics, logs and completions."""
        ...

    async def open(self) -> None:
        """Get ready to connect; does not wait for the engine."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...

    async def models(self) -> tuple[str, ...]:
        """Names of the models served. Raises `EngineFailed`, `EngineBusy` or `EngineRefused`."""
        ...

    async def stream(self, call: Call, into: Transcript, on_chunk: Callable[[], None]) -> None:
        """Run a call to its end, telling each arrival of data. Being cancelled aborts it.

        Raises `EngineFailed`, `EngineUnfit`, `EngineBusy` or `EngineRefused`.
        """
        ...
