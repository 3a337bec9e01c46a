"""Targets and outcomes made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from models.rewards.records import Outcome, Target
from service.records import Query
from tests.unit.models.builders import NOW_MS, reader, signal

OLGA = reader("olga", "ferry", signal("harbour", 0), signal("dentist", 1))
GRADES = {"f1": 2, "f2": 1, "c1": 2}
INTERESTS = {"f1": 1, "f2": 1, "c1": 2}


def target(
    grades: Mapping[str, int] = GRADES,
    interest: Mapping[str, int] = INTERESTS,
    *,
    own: Sequence[str] = (),
    sources: tuple[int | None, ...] = (0, None),
) -> Target:
    """Somebody with a signal of an interest and one of an errand."""
    user = replace(OLGA, sources=sources, now_ms=NOW_MS)
    return Target(user, grades, interest, frozenset(own))


def outcome(
    *queries: str,
    ranked: Sequence[str] = (),
    found: Sequence[Sequence[str]] = (),
    drop: Sequence[float] = (),
    nearest: Sequence[tuple[int, float]] = (),
    text: str | None = None,
    finished: bool = True,
) -> Outcome:
    """What a list of these queries found."""
    return Outcome(
        text="\n".join(queries) if text is None else text,
        finished=finished,
        queries=tuple(map(Query, queries)),
        found=tuple(map(tuple, found)),
        drop=tuple(drop),
        ranked=tuple(ranked),
        nearest=tuple(nearest),
    )
