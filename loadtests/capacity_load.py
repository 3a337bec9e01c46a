"""What a plan of capacity is made for: the load, and how quick engines are. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, fields


def _input(default: float, help_: str) -> float:
    """A number of a load, with the help of its flag."""
    found: float = field(default=default, metadata={"help": help_})
    return found


@dataclass(frozen=True, slots=True)
class Load:
    """Each number is a flag of `python -m loadtests.capacity`, with its help beside it."""

    requests_s: float = _input(10_000, "requests a second, in the busiest hour")
    reused: float = _input(0.9, "share of them that a kept list answers")
    recent: float = _input(0, "share of these whose user came to the same gateway within 30 s")
    tokens: float = _input(32, "tokens that the student writes for a sample")
    samples: float = _input(1, "samples of a list: decoding.n of the manifest")
    queries: float = _input(8, "queries of a list")
    candidates: float = _input(100, "candidates of an answer")
    signals: float = _input(50, "signals kept of a user, on average")
    text_bytes: float = _input(31, "bytes of a signal's text, on average")
    users: float = _input(10_000_000, "users within INTERESTS_SIGNALS_TTL_DAYS")
    feedback_s: float = _input(0, "feedback events a second, of an average hour")
    articles: float = _input(1_000_000, "articles in the index")
    article_bytes: float = _input(3_000, "bytes of an article in OpenSearch but for its vector")
    meaning_ms: float = _input(0, "CPU of a gateway for a text's meaning; 0: words, or a server")
    list_s: float = _input(0.2, "seconds that a new list takes")
    answer_s: float = _input(0.006, "seconds that an answer by a kept list takes")
    engine_tokens_s: float = _input(8_018, "tokens a second of one engine, prompts included")
    engine_seqs: float = _input(50, "samples that it writes at once at that rate")
    node_gb: float = _input(25, "maxmemory of a Redis node that you want to have, GB")
    embedded: bool = False
    """The gateways search themselves, instead of OpenSearch."""


INPUTS = [one for one in fields(Load) if one.name != "embedded"]
_SHARES = ("reused", "recent")
_ABOVE_0 = (
    *("requests_s", "tokens", "samples", "queries", "list_s", "answer_s"),
    *("engine_tokens_s", "engine_seqs", "node_gb"),
)


def flag(name: str) -> str:
    """A number's flag."""
    return f"--{name.replace('_', '-')}"


def require_sound(load: Load) -> None:
    """Raise `ValueError`, which names the flag, for a load that cannot be."""
    for one in INPUTS:
        value = getattr(load, one.name)
        if one.name in _SHARES and not 0 <= value <= 1:
            raise ValueError(f"{flag(one.name)} is a share, from 0 to 1")
        if one.name in _ABOVE_0 and value <= 0:
            raise ValueError(f"{flag(one.name)} takes more than 0")
        if value < 0:
            raise ValueError(f"{flag(one.name)} takes 0 or more")
