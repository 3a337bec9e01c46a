"""Rows of the exported tables, of what was read. Pure. Times are ms since 1970. docs/exports.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from service.events.export.entries import End, Exposure, Feedback, Placement, Query, Shadow, Timings
from service.records import DOMAINS

Row = dict[str, Any]
T = TypeVar("T")

TIMES = ("at", "exposed_at")
"""Columns that are moments."""
PLACEMENT = ("key", "layer", "assigned", "served", "reason")
QUERY = ("text", "weight", "hits", "near", "origin")
TIMINGS = ("signals", "generate", "retrieve", "fuse", "total")


@dataclass(frozen=True, slots=True)
class Candidates:
    """A list of candidates, column by column: a row of its own for each would cost the most."""

    ids: list[str]
    scores: list[float | None]
    matched: list[list[int]] | None
    """Places of the queries that found each; shadows have none."""

    def rows(self) -> list[Row]:
        """An object for each candidate."""
        if self.matched is None:
            pairs = zip(self.ids, self.scores, strict=True)
            return [{"id": one, "score": score} for one, score in pairs]
        found = zip(self.ids, self.scores, self.matched, strict=True)
        return [{"id": one, "score": score, "matched": by} for one, score, by in found]


def exposure_row(given: Exposure) -> Row:
    """A row of `exposures`."""
    queries, shards = given.coverage
    return {
        "request_id": given.id,
        "at": given.at,
        "process": given.process,
        "sequence": given.seq,
        "user_id": given.user,
        "student": given.student,
        "queries_from": given.queries_from,
        "candidates_from": given.candidates_from,
        "degraded": given.degraded,
        "coverage_queries": queries,
        "coverage_shards": shards,
        "placements": _placements(given.places),
        "queries": _queries(given.queries),
        "candidates": Candidates(given.ids, given.scores, given.matched),
        "timings_ms": _timings(given.ms),
        "signals": {domain: given.signals.get(domain, 0) for domain in DOMAINS},
    }


def feedback_row(given: Feedback, exposure: Exposure | None) -> Row:
    """A row of `feedback`, joined with the exposure that it is about, where that was found."""
    row = {
        "request_id": given.id,
        "event_id": given.event,
        "user_id": given.user,
        "kind": given.kind,
        "article_id": given.article,
        "at": given.at,
        "dwell_ms": given.dwell_ms,
        "joined": exposure is not None,
    }
    if exposure is None:
        unknown = ("exposed_at", "student", "placements", "place", "matched")
        return row | dict.fromkeys(unknown)
    place = exposure.ids.index(given.article) if given.article in exposure.ids else None
    found_by = [] if place is None else exposure.matched[place]
    return row | {
        "exposed_at": exposure.at,
        "student": exposure.student,
        "placements": _placements(exposure.places),
        "place": None if place is None else place + 1,
        "matched": [exposure.queries[query][0] for query in found_by],
    }


def shadow_row(given: Shadow, exposure: Exposure | None) -> Row:
    """A row of `shadows`, joined with what was served, where that was found."""
    served = None if exposure is None else exposure.ids
    return {
        "request_id": given.id,
        "at": given.at,
        "user_id": given.user,
        "key": given.key,
        "layer": given.layer,
        "arm": given.arm,
        "student": given.student,
        "queries_from": given.queries_from,
        "candidates_from": given.candidates_from,
        "degraded": given.degraded,
        "queries": _queries(given.queries),
        "candidates": Candidates(given.ids, given.scores, None),
        "timings_ms": _timings(given.ms),
        "joined": exposure is not None,
        "served_student": None if exposure is None else exposure.student,
        "same_first_10": share_in_both(given.ids, served, 10),
        "same_first_50": share_in_both(given.ids, served, 50),
    }


def end_row(given: End) -> Row:
    """A row of `ends`."""
    return {"process": given.process, "sequence": given.seq, "at": given.at}


def share_in_both(ids: Sequence[str], served: Sequence[str] | None, first: int) -> float | None:
    """The share of the first ids that are among the first that were served; None without any."""
    top = set(ids[:first])
    if served is None or not top:
        return None
    return len(top.intersection(served[:first])) / len(top)


def _placements(given: Iterable[Placement]) -> list[Row]:
    return [dict(zip(PLACEMENT, one, strict=True)) for one in given]


def _queries(given: Iterable[Query]) -> list[Row]:
    return [dict(zip(QUERY, one, strict=True)) for one in given]


def _timings(given: Timings) -> Row:
    return dict(zip(TIMINGS, given, strict=True))
