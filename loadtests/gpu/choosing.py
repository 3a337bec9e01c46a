"""What is searched and chosen between measurements of a card. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

SUFFICES = 0.97
"""Of the best users a second: a smaller `max_num_seqs` that has it is taken."""
_SAMPLE = re.compile(r"^vllm:(prefix_cache_\w+?)(?:_total)?\{[^}]*\} ([0-9.e+]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Level:
    """What so many callers at once showed."""

    callers: int
    users_s: float
    p95_ms: float


def levels(measure: Callable[[int], Level], limit_ms: float, most: int) -> list[Level]:
    """Measure callers in doubling numbers until p95 is above the limit, then halve what is between.

    It ends where neighbours differ by an eighth or less, at `most` callers, or where twice the
    callers answered no more users: then more would wait only. In the order of callers.
    """
    found: list[Level] = []
    callers = 1
    while True:
        found.append(measure(callers))
        if found[-1].p95_ms > limit_ms or callers >= most:
            break
        if len(found) > 2 and found[-1].users_s < 1.02 * found[-2].users_s:
            break
        callers = min(2 * callers, most)
    within = [level.callers for level in found if level.p95_ms <= limit_ms]
    low, high = max(within, default=0), found[-1].callers
    while within and found[-1].p95_ms > limit_ms and high - low > max(1, low // 8):
        level = measure((low + high) // 2)
        found.append(level)
        if level.p95_ms <= limit_ms:
            low = level.callers
        else:
            high = level.callers
        found.sort(key=lambda one: one.callers)
    return found


def best_within(found: Sequence[Level], limit_ms: float) -> Level | None:
    """The most users a second whose p95 is no more than the limit; None where there is none."""
    within = [level for level in found if level.p95_ms <= limit_ms]
    return max(within, key=lambda level: level.users_s) if within else None


def smallest_that_suffices(users_s: Mapping[int, float]) -> int:
    """The smallest `max_num_seqs` with nearly the most users a second: less of a card is taken.

    Raises `ValueError` where nothing was measured.
    """
    if not users_s:
        raise ValueError("no max_num_seqs was measured")
    enough = SUFFICES * max(users_s.values())
    return min(number for number, rate in users_s.items() if rate >= enough)


def cached_tokens(metrics: str) -> tuple[float, float]:
    """Prompt tokens that vLLM found in its prefix cache, and all it looked for, by `/metrics`."""
    found = {name: float(value) for name, value in _SAMPLE.findall(metrics)}
    return found.get("prefix_cache_hits", 0.0), found.get("prefix_cache_queries", 0.0)


def cached_share(before: str, after: str) -> float:
    """Of the prompt tokens between two readings of `/metrics`; 0 where there were none."""
    (hits, asked), (hits_then, asked_then) = cached_tokens(after), cached_tokens(before)
    return (hits - hits_then) / (asked - asked_then) if asked > asked_then else 0.0
