"""Which of a user's signals a query stems from, as far as can be told. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from service.records import Run, Signal

_DEPTH = 10
"""Hits of a query, by words and by meaning each, that are compared."""
_ALIKE = 0.3
"""Share of them that two queries about the same thing have in common, at the least."""
_MOST = 3
"""Signals that a query is put down to by what it finds."""


def stems_from(runs: Sequence[Run], shown: Sequence[Signal]) -> list[list[int]]:
    """For each run the places in `shown` of the signals that its query stems from; perhaps none.

    A query says itself which signals it names or repeats. One in words of its own is put down to
    those own signals whose searches find what it finds: they were searched beside it, so it is
    known already.
    """
    places = {signal.id: place for place, signal in enumerate(shown)}
    named = [[places[id_] for id_ in run.query.signals if id_ in places] for run in runs]
    own = [
        (found, of)
        for run, of in zip(runs, named, strict=True)
        if run.query.origin == "signal" and of and (found := _first(run))
    ]
    return [
        of or ([] if run.query.origin == "signal" else _alike(_first(run), own))
        for run, of in zip(runs, named, strict=True)
    ]


def _first(run: Run) -> frozenset[str]:
    return frozenset(hit.id for hits in (run.hits, run.near) for hit in hits[:_DEPTH])


def _alike(found: frozenset[str], own: Sequence[tuple[frozenset[str], list[int]]]) -> list[int]:
    """The signals of the own queries that find most of the same, at most so many."""
    if not found:
        return []
    shares = [(len(found & theirs) / min(len(found), len(theirs)), of) for theirs, of in own]
    best = sorted(shares, key=lambda one: -one[0])[:_MOST]
    return [place for share, of in best if share >= _ALIKE for place in of[:1]]
