"""What an answer costs a gateway, piece by piece, and how that is read from a growth run. Pure.

An answer is taken for a sum: what it costs by itself, and so much for each candidate, signal,
query and token. Along its axis, each of these is the slope of a straight line through what
`python -m loadtests.growth` measured; the rest of the line, less the other pieces at the sizes that
were held constant, is what an answer costs by itself.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import orjson

from loadtests.rig.exponents import Points, line, power
from loadtests.rig.sides import CPU_MS
from service.defaults import LIMIT, MAX_QUERIES, OWN_SIGNALS
from service.errors import ConfigurationError

EMBEDDED_AT = 10_000
"""Articles for which `embedded_ms` is."""
HELD_SIGNALS = 20
"""Signals a user along the axes of a growth run that are not theirs."""
HELD_TOKENS = 64
"""Tokens of a sample along all of them."""
READ_MS = "Redis CPU ms a read"
TEXT_MS = "CPU ms a text"


@dataclass(frozen=True, slots=True)
class Costs:
    """Milliseconds of CPU of a gateway, unless it is said otherwise."""

    reused_ms: float
    """An answer by a kept list to a user who came a moment ago: its results are kept, too."""
    returning_ms: float
    """An answer by a kept list to a user who was not here lately, by itself."""
    fresh_ms: float
    """An answer by a list written for it, by itself."""
    candidate_ms: float
    signal_ms: float
    query_ms: float
    """A text searched: in OpenSearch, read and merged."""
    token_ms: float
    """A token of a sample, read from the engine's stream and parsed."""
    embedded_ms: float
    """A text searched in the gateway itself among `EMBEDDED_AT` articles."""
    embedded_exponent: float
    """How that grows with the articles."""
    read_ms: float
    """Of Redis: a user read."""

    def reused(self, candidates: float = LIMIT) -> float:
        """An answer by a kept list whose results are kept."""
        return self.reused_ms + self.candidate_ms * candidates

    def returning(self, signals: float, texts: float, candidates: float = LIMIT) -> float:
        """An answer by a kept list, so many texts of which are searched anew."""
        return self.returning_ms + self._both(signals, texts, candidates)

    def fresh(
        self,
        signals: float,
        texts: float,
        tokens: float,
        samples: float = 1,
        candidates: float = LIMIT,
    ) -> float:
        """An answer by a new list, so many texts of which are searched; `tokens` of each sample."""
        own = self.fresh_ms + self.token_ms * tokens * samples
        return own + self._both(signals, texts, candidates)

    def embedded(self, articles: float) -> float:
        """A text searched among so many articles in the gateway itself, on top of `query_ms`."""
        return self.embedded_ms * math.pow(articles / EMBEDDED_AT, self.embedded_exponent)

    def said(self) -> str:
        """All of them in a line; and those that noise has left at or below 0, by name."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        line = f"Costs: {', '.join(f'{name}={value:.3g}' for name, value in values.items())}."
        lost = [name for name, value in values.items() if value <= 0]
        if not lost:
            return line
        return f"{line} Lost in noise, so measure again on a quiet machine: {', '.join(lost)}."

    def _both(self, signals: float, texts: float, candidates: float) -> float:
        return self.signal_ms * signals + self.query_ms * texts + self.candidate_ms * candidates


MEASURED = Costs(
    reused_ms=0.73,
    returning_ms=3.7,
    fresh_ms=1.5,
    candidate_ms=0.0003,
    signal_ms=0.017,
    query_ms=0.16,
    token_ms=0.057,
    embedded_ms=0.091,
    embedded_exponent=0.5,
    read_ms=0.052,
)
"""By `python -m loadtests.growth`, as docs/operating/sizing.md shows them."""


def costs_of(figures: Mapping[str, Mapping[str, Points]]) -> Costs | None:
    """From the figures of each axis of a growth run; None where an axis is missing."""
    try:
        by_query = line(figures["queries"][CPU_MS])
        by_candidate = line(figures["candidates"][CPU_MS])
        signal_ms = line(figures["signals"][CPU_MS]).per_unit
        token_ms = line(figures["samples"][CPU_MS]).per_unit / HELD_TOKENS
        by_article = power(figures["articles"][TEXT_MS])
        reads = figures["users"][READ_MS]
        again = figures["returning"][CPU_MS]
    except KeyError:
        return None
    held = signal_ms * HELD_SIGNALS + by_candidate.per_unit * LIMIT
    own = by_query.per_unit * OWN_SIGNALS
    returning_ms = statistics.median(again[max(again)])
    return Costs(
        reused_ms=by_candidate.base,
        returning_ms=returning_ms - held - own - by_query.per_unit * MAX_QUERIES,
        fresh_ms=by_query.base - held - own - token_ms * HELD_TOKENS,
        candidate_ms=by_candidate.per_unit,
        signal_ms=signal_ms,
        query_ms=by_query.per_unit,
        token_ms=token_ms,
        embedded_ms=by_article.at(EMBEDDED_AT),
        embedded_exponent=by_article.exponent,
        read_ms=statistics.median(reads[max(reads)]),
    )


def read_costs(path: Path) -> Costs:
    """Of `growth.json`. Raises `ConfigurationError` where that is not one of a whole run."""
    try:
        given = orjson.loads(path.read_bytes())["data"]["costs"]
        return Costs(**{one.name: float(given[one.name]) for one in fields(Costs)})
    except OSError as error:
        raise ConfigurationError(f"--costs: {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"--costs: {path} holds no costs: take growth.json of `python -m loadtests.growth` "
            "without --only"
        ) from error


def texts_of(queries: float = MAX_QUERIES) -> float:
    """Texts that are searched for a list: its queries, and own signals beside them."""
    return queries + OWN_SIGNALS
