"""What a student is taught to write: references (`#n`) to signals that are no noise, newest first
or, on request, headlines before all others.

The simulator knows which these are. Nothing is left to be learned but that choice: a list of words
takes most of its loss for which words of a signal to write, and next to none for which signal.
All stand on one line, a token less for each.
The template has to say each signal's number. `docs/training-log.md` has what other lists scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.data.simulator import SimulatedUser
from service.generation.queries import DUPLICATE
from service.generation.text import alike, stems
from service.records import Signal


@dataclass(frozen=True, slots=True)
class ReferenceForm:
    """The shape of a list."""

    references: int
    """Signals that are referred to at the most."""
    news_first: bool = False
    """Whether headlines come before all others, and so are never left out for want of room: of one
    user's own signals a headline of an interest finds ten times what a search does
    (`docs/training-log.md`)."""


def reference_label(user: SimulatedUser, shown: Sequence[Signal], form: ReferenceForm) -> list[str]:
    """The line to write for a user whose prompt shows `shown`; no line where all is noise.

    A signal that says the same as an earlier one of the list, and would be the same query, is left
    out.
    """
    source_of = {s.id: k for s, k in zip(user.signals, user.sources, strict=True)}
    numbers: list[str] = []
    said: list[frozenset[str]] = []
    order: Sequence[int] = range(len(shown), 0, -1)
    if form.news_first:
        order = sorted(order, key=lambda number: shown[number - 1].domain != "news")
    for number in order:
        signal = shown[number - 1]
        words = stems(signal.text)
        if source_of[signal.id] is None or any(alike(words, one, DUPLICATE) for one in said):
            continue
        said.append(words)
        numbers.append(f"#{number}")
        if len(numbers) == form.references:
            break
    return [" ".join(numbers)] if numbers else []
