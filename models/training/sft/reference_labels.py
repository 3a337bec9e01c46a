"""What a student is taught to write: references (`#n`) to signals, newest first or, on request,
headlines before all others.

Which signals? Those that are no noise, as the simulator knows, or headlines among them alone.
Nothing is left to be learned but that choice: a list of words takes most of its loss for which
words of a signal to write, and next to none for which signal. All stand on one line, a token less
for each.
The template has to say each signal's number. `models.studies.label_worth` scores lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.simulation.users import SimulatedUser
from service.generation.queries import DUPLICATE
from service.records import Signal
from service.words.text import alike, stems


@dataclass(frozen=True, slots=True)
class ReferenceForm:
    """The shape of a list."""

    references: int
    """Signals that are referred to at the most."""
    news_first: bool = False
    """Whether headlines come before all others, and so are never left out for want of room: they
    find more than other signals do (docs/decisions/2026-11-26-headlines-first.md)."""
    least: int | None = None
    """Where headlines come first: others only fill a list that is shorter than this, up to it.
    None: they are named as well."""


def reference_label(user: SimulatedUser, shown: Sequence[Signal], form: ReferenceForm) -> list[str]:
    """The line to write for a user whose prompt shows `shown`; no line where nothing is named.

    A signal that says the same as an earlier one of the list, and would be the same query, is left
    out.
    """
    source_of = {
        signal.id: source for signal, source in zip(user.signals, user.sources, strict=True)
    }
    made = [source_of[signal.id] is not None for signal in shown]
    numbers: list[str] = []
    said: list[frozenset[str]] = []
    for place, needed in _ranked(shown, made, form):
        if len(numbers) >= (form.references if needed else min(form.least or 0, form.references)):
            break
        words = stems(shown[place].text)
        if not any(alike(words, earlier, DUPLICATE) for earlier in said):
            said.append(words)
            numbers.append(f"#{place + 1}")
    return [" ".join(numbers)] if numbers else []


def _ranked(
    shown: Sequence[Signal], made: Sequence[bool], form: ReferenceForm
) -> Iterator[tuple[int, bool]]:
    """Places in `shown` in the order of a list, and whether each is more than a filler.

    `made` says of each signal whether an interest made it.
    """
    newest = [place for place in reversed(range(len(shown))) if made[place]]
    fillers = [place for place in newest if form.news_first and shown[place].domain != "news"]
    yield from ((place, True) for place in newest if place not in fillers)
    yield from ((place, form.least is None) for place in fillers)
