"""The deadline that every request lives under, and what bounds an article's id, wherever one comes
in. Its place among those in work is `service.overload.admission`'s.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

ARTICLE_ID_BYTES = 128
"""Of UTF-8. An article whose id were longer could be found, but never be marked as read."""


def fits_article_id(id_: str) -> bool:
    """Whether an article's id is short enough."""
    short = 4 * len(id_) <= ARTICLE_ID_BYTES  # without a look at its letters
    return short or len(id_.encode(errors="replace")) <= ARTICLE_ID_BYTES


@dataclass(frozen=True, slots=True)
class Shares:
    """How a deadline is shared out: fractions of the whole, capped so that a long deadline
    does not hold back time that the generation could use.

    `signals`: the store's share from the start. `retrieve` and `respond`: kept back at the end.
    """

    signals: float = 0.15
    signals_max_s: float = 0.5
    retrieve: float = 0.25
    retrieve_max_s: float = 0.75
    respond: float = 0.05
    respond_max_s: float = 0.015


@dataclass(frozen=True, slots=True)
class Deadline:
    """One absolute moment (event-loop clock, seconds) by which the answer leaves."""

    started: float
    at: float
    shares: Shares = Shares()

    @classmethod
    def after_ms(cls, timeout_ms: float, shares: Shares | None = None) -> Deadline:
        """A deadline `timeout_ms` from now, on the running loop's clock."""
        now = asyncio.get_running_loop().time()
        return cls(now, now + timeout_ms / 1000, shares or Shares())

    @property
    def total_s(self) -> float:
        """The whole span, in seconds."""
        return self.at - self.started

    def remaining_s(self) -> float:
        """Seconds left; negative when it has passed."""
        return self.at - asyncio.get_running_loop().time()

    @property
    def signals_until(self) -> float:
        """When the signal store must have answered."""
        return self.started + self._signals_s

    def signals_until_begun_at(self, now: float) -> float:
        """The same for a request that is begun at `now`, its body or its turn having come late.

        It still gives the store half of its share: the store is not to be blamed for what it was
        never asked.
        """
        return min(max(self.signals_until, now + self._signals_s / 2), self.generate_until)

    @property
    def _signals_s(self) -> float:
        return min(self.total_s * self.shares.signals, self.shares.signals_max_s)

    @property
    def generate_until(self) -> float:
        """When the queries must be there, so that they can still be searched."""
        return self.retrieve_until - min(
            self.total_s * self.shares.retrieve, self.shares.retrieve_max_s
        )

    @property
    def retrieve_until(self) -> float:
        """When the hits must be there, so that they can still be fused and sent."""
        return self.at - min(self.total_s * self.shares.respond, self.shares.respond_max_s)
