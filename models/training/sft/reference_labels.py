"""What a student is taught to write: references (`#n`) to signals, newest first or, on request,
headlines before all others.

Which signals? Those that are no noise, as the simulator knows, or headlines among them alone; or,
with `near`, the headlines that something else the user did is about, which the signals themselves
tell. Nothing is left to be learned but that choice: a list of words takes most of its loss for
which words of a signal to write, and next to none for which signal. All stand on one line, a token
less for each.
The template has to say each signal's number. `docs/training-log.md` has what other lists scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.simulation.encoder import Vectors
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
    """Whether headlines come before all others, and so are never left out for want of room: of one
    user's own signals a headline of an interest finds ten times what a search does
    (`docs/training-log.md`)."""
    near: float | None = None
    """Cosine, by the sentence encoder, with another shown signal from which on a headline is
    named, whether an interest made it or not; headlines then come first. None: what is no noise is
    named, as the simulator knows."""
    least: int | None = None
    """Where headlines come first: others only fill a list that is shorter than this, up to it.
    None: they are named as well."""


def reference_label(
    user: SimulatedUser,
    shown: Sequence[Signal],
    form: ReferenceForm,
    vectors: Vectors | None = None,
) -> list[str]:
    """The line to write for a user whose prompt shows `shown`; no line where nothing is named.

    `vectors` (shown, 384), what the signals mean, are needed with `near`. A signal that says the
    same as an earlier one of the list, and would be the same query, is left out.
    """
    source_of = {s.id: k for s, k in zip(user.signals, user.sources, strict=True)}
    made = [source_of[signal.id] is not None for signal in shown]
    numbers: list[str] = []
    said: list[frozenset[str]] = []
    for place, needed in _ranked(shown, made, form, vectors):
        if len(numbers) >= (form.references if needed else min(form.least or 0, form.references)):
            break
        words = stems(shown[place].text)
        if not any(alike(words, one, DUPLICATE) for one in said):
            said.append(words)
            numbers.append(f"#{place + 1}")
    return [" ".join(numbers)] if numbers else []


def _ranked(
    shown: Sequence[Signal],
    made: Sequence[bool],
    form: ReferenceForm,
    vectors: Vectors | None,
) -> Iterator[tuple[int, bool]]:
    """Places in `shown` in the order of a list, and whether each is more than a filler."""
    newest = range(len(shown) - 1, -1, -1)
    news = [signal.domain == "news" for signal in shown]
    if form.near is not None:
        assert vectors is not None
        cosines = vectors @ vectors.T
        np.fill_diagonal(cosines, -1.0)
        named = [place for place in newest if news[place] and cosines[place].max() >= form.near]
    else:
        named = [place for place in newest if made[place] and (news[place] or not form.news_first)]
    yield from ((place, True) for place in named)
    others = sorted(newest, key=lambda place: news[place])
    rest = (place for place in others if made[place] and place not in named)
    yield from ((place, form.least is None) for place in rest)
