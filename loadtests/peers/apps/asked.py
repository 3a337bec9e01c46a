"""What every peer is asked, and what it is given to answer with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

_SIGNALS = 20
"""Newest signals that a question is made of."""
SHORTEST, LONGEST = 8, 20
"""Characters of a query where the engine is told its shape: eight fit in 128 tokens as JSON."""


@dataclass(frozen=True, slots=True)
class Options:
    """Where the parts are, and how much of each is wanted. The same for all peers."""

    engine: str
    """Base URL of the OpenAI-compatible API, with `/v1`."""
    model: str
    opensearch: str
    index: str
    fields: tuple[tuple[str, float], ...]
    """Those that are searched, with their boosts."""
    queries: int
    hits: int
    """Taken from each query."""
    limit: int
    """Candidates at the most."""
    max_tokens: int
    shaped: bool
    """Whether the engine is told to write so many queries: a small model does not by itself."""


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate."""

    id: str
    title: str


class Peer(Protocol):
    """A system that writes queries for a question and merges what they find."""

    async def candidates(self, question: str) -> list[Found]:
        """At most `limit` candidates, best first."""
        ...


def question_of(signals: Sequence[Mapping[str, Any]]) -> str:
    """The question that a user's signals are put as: their newest texts, newest first.

    Peers take one text and know no signals, so this is the plainest that holds them. The gateway
    shows about as many to its student.
    """
    newest = sorted(signals, key=lambda signal: str(signal["at"]), reverse=True)[:_SIGNALS]
    return "; ".join(str(signal["text"]) for signal in newest)


def by_words(text: str, options: Options) -> dict[str, Any]:
    """The search for one text, the same that the gateway sends: each field by its boost."""
    matches = [
        {"match": {field: {"query": text, "boost": boost}}} for field, boost in options.fields
    ]
    return {
        "size": options.hits,
        "track_total_hits": False,
        "_source": ["id", "title"],
        "query": {"bool": {"should": matches, "minimum_should_match": 1}},
    }


def lines_shape(options: Options) -> dict[str, Any]:
    """What is sent to vLLM beside a completion, so that it writes so many queries, a line each."""
    if not options.shaped:
        return {}
    line = rf"[^\n]{{{SHORTEST},{LONGEST}}}"
    return {"structured_outputs": {"regex": rf"({line}\n){{{options.queries - 1}}}{line}"}}


def list_schema(options: Options) -> dict[str, Any]:
    """The JSON schema of a list of queries."""
    items: dict[str, Any] = {"type": "string"}
    queries: dict[str, Any] = {"type": "array", "items": items}
    if options.shaped:
        items |= {"minLength": SHORTEST, "maxLength": LONGEST}
        queries |= {"minItems": options.queries, "maxItems": options.queries}
    return {
        "type": "object",
        "properties": {"queries": queries},
        "required": ["queries"],
        "additionalProperties": False,
    }


def fields_of(text: str) -> tuple[tuple[str, float], ...]:
    """Fields and boosts of `title^2,abstract^1`, as `--fields` takes them."""
    pairs = [part.partition("^") for part in text.split(",")]
    return tuple([(name, float(boost or 1)) for name, _, boost in pairs])
