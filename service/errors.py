"""What can go wrong, without a word of HTTP.

    InterestsError
    ├── InvalidInput            the caller's data is wrong: which field, and the remedy
    │   └── Forbidden           the caller lacks the right to ask for this
    ├── ConfigurationError      our own settings, manifest or files are wrong: nothing to retry
    ├── Overloaded              no room now: retry after `retry_after_s`
    ├── NothingToServe          neither the index nor a popular snapshot can answer
    └── StageError              a part behind the gateway failed; `reason` goes into `degraded`
        ├── RedisUnavailable
        │   ├── SignalsUnavailable
        │   ├── EventsUnavailable       exposures and feedback
        │   └── OverlayUnavailable      what was done to experiments by hand
        ├── GenerationError
        │   ├── GenerationTimeout
        │   ├── GenerationUnavailable   no replica reachable
        │   ├── GenerationOverloaded    the queue before the engines is full
        │   └── GenerationInvalid       the output held no usable query
        ├── RetrievalError
        │   ├── RetrievalTimeout
        │   └── RetrievalUnavailable
        │       └── OtherLanguage       the index is in another language than the settings
        └── EncoderUnavailable      no vectors: the search goes by words alone

The table from error to HTTP status is `service/api/problems.py`, the only one.
"""

from __future__ import annotations

import random
from enum import StrEnum
from typing import ClassVar

RETRY_AFTER_MAX_S = 3


class InterestsError(Exception):
    """Base of every error this project raises on purpose."""

    def line(self) -> str:
        """What a terminal shows."""
        return f"error: {self}"


class InvalidInput(InterestsError):
    """The caller's data is wrong; `field` names the place, the message says the remedy."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field

    def line(self) -> str:
        """With the field, where there is one."""
        return f"error: {self.field}: {self}" if self.field else super().line()


class Forbidden(InvalidInput):
    """The caller's key lacks the right that `field` needs."""


class ConfigurationError(InterestsError):
    """Settings, a manifest, a mapping or a file of ours is wrong; retrying does not help."""


class Refusal(StrEnum):
    """Why there was no room for a request."""

    LIMIT = "limit"
    """As many as may be are in work."""
    SHARE = "share"
    """What is free is kept for callers that have less than their share."""
    DEADLINE = "deadline"
    """More is in work than can be answered by the request's deadline."""


class Overloaded(InterestsError):
    """No room at the moment; worth trying again after `retry_after_s`, whole seconds.

    They differ from refusal to refusal: callers who were refused together would come back
    together.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.retry_after_s = random.randint(1, RETRY_AFTER_MAX_S)


class NothingToServe(InterestsError):
    """Neither the index nor a popular snapshot can answer."""


class StageError(InterestsError):
    """A part behind the gateway failed. `reason` is the word that appears in `degraded`."""

    reason: ClassVar[str] = "stage_failed"


class RedisUnavailable(StageError):
    """Redis did not answer in time, or at all, or refused."""

    def __init__(self, message: str, *, remedy: str = "", moving: bool = False) -> None:
        super().__init__(message)
        self.remedy = remedy
        """What an operator can do about it; empty where that is unknown."""
        self.moving = moving
        """Whether a cluster moves the keys' slot: no node has all of them now, and one will."""

    def line(self) -> str:
        """With the remedy, where there is one."""
        return f"{super().line()}: {self.remedy}" if self.remedy else super().line()


class SignalsUnavailable(RedisUnavailable):
    """The signal store did not answer in its share of the deadline, or at all."""

    reason = "signals_unavailable"


class EventsUnavailable(RedisUnavailable):
    """Exposures and feedback could not be written or read."""

    reason = "events_unavailable"


class OverlayUnavailable(RedisUnavailable):
    """What was done to experiments by hand could not be read or changed."""

    reason = "overlay_unavailable"


class GenerationError(StageError):
    """No fresh list of queries could be made."""

    reason = "generation_unavailable"


class GenerationTimeout(GenerationError):
    """The engine did not finish within its share of the deadline."""

    reason = "generation_timeout"


class GenerationUnavailable(GenerationError):
    """No replica of the student is reachable and serving the right model."""

    reason = "generation_unavailable"


class GenerationOverloaded(GenerationError):
    """The bounded queue before the engines is full, or could not start the call in time."""

    reason = "generation_overloaded"


class GenerationInvalid(GenerationError):
    """The engine answered, but nothing in its output is a usable query."""

    reason = "generation_invalid"


class RetrievalError(StageError):
    """The article index gave nothing."""

    reason = "retrieval_unavailable"


class RetrievalTimeout(RetrievalError):
    """The article index did not answer within its share of the deadline."""

    reason = "retrieval_timeout"


class RetrievalUnavailable(RetrievalError):
    """The article index is unreachable, missing or has another mapping."""

    reason = "retrieval_unavailable"


class OtherLanguage(RetrievalUnavailable):
    """The article index is in another language than the settings name; `remedy` is part of it."""

    def __init__(self, index: str, has: object, wanted: str) -> None:
        self.says = f"{index} is in {has}, and INTERESTS_INDEX_LANGUAGE says {wanted}"
        self.remedy = (
            f"set it to {has}, or load the articles again with `interests index load FILE…`"
        )
        super().__init__(f"{self.says}: {self.remedy}")


class EncoderUnavailable(StageError):
    """Texts could not be encoded: the encoder is missing, too busy, late, or gives no vectors."""

    reason = "encoder_unavailable"
