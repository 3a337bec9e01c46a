"""What each part of what is served brings: S, in logs P, with one part switched off at a time.

And how well lists are searched by words alone, by meaning alone, and by both. All ways of serving
one user are ranked one after the other, since they share their searches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from models.evaluation.bench import Bench, SearchedBy
from models.evaluation.evaluate import MEASURES, Lists, Measured, as_served, columns, measure
from models.progress import Progress, untold
from service.defaults import MAX_QUERIES
from service.retrieval.fusion import FusionSettings

SEARCHED_BY: tuple[SearchedBy, ...] = ("words", "meaning", "both")


@dataclass(frozen=True, slots=True)
class Way:
    """One way to serve a user's list: what is searched, how, and how it is merged."""

    settings: FusionSettings
    queries: Literal["list", "own signals", "both"] = "both"
    searched_by: SearchedBy = "both"
    popular: bool = False
    """Whether popularity counts (P)."""
    scored: bool = False
    """Whether what a log shows is scored too: it takes as long again as all the rest."""


def evaluate_ways(
    bench: Bench, lists: Lists, ways: Mapping[str, Way], progress: Progress = untold
) -> dict[str, Measured]:
    """Measure lists served in each way, by its name. `progress` is called with 1 after each user.

    Of ways that are not scored there are only the measures of a list (`MEASURES`).
    """
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    before = bench.settings, bench.searched_by
    try:
        for user in bench.data.users:
            listed = tuple(lists.get(user.id, ()))[:MAX_QUERIES]
            queries = {
                "list": listed,
                "own signals": as_served(bench, user, ()),
                "both": as_served(bench, user, listed),
            }
            for name, way in ways.items():
                bench.settings, bench.searched_by = way.settings, way.searched_by
                ranked = bench.rank(
                    user, queries[way.queries], popular=way.popular, scored=way.scored
                )
                rows[name].append(measure(bench.data, user, ranked))
            progress(1)
    finally:
        bench.settings, bench.searched_by = before
    found: dict[str, Measured] = {}
    for name, way in ways.items():
        measured = columns(bench.data, rows[name])
        found[name] = measured if way.scored else {m: measured[m] for m in MEASURES}
    return found


def each_search(bench: Bench, *, beside: bool) -> dict[str, Way]:
    """A list searched by words, by meaning and by both; `beside`: with the own signals, as S is."""
    way = Way(bench.settings, "both" if beside else "list", scored=not bench.data.simulated)
    return {kind: replace(way, searched_by=kind) for kind in SEARCHED_BY}


def without_each_part(bench: Bench) -> dict[str, Way]:
    """What is served, under "nothing", and by the name of the part that it is served without.

    Of a log that is P, elsewhere S, which has no popularity. Search by meaning is a part where
    there is an encoder.
    """
    served = bench.settings
    whole = Way(served, popular=not bench.data.simulated)
    ways = {"nothing": whole}
    if bench.by_meaning:
        ways["meaning"] = replace(whole, searched_by="words")
        ways["words"] = replace(whole, searched_by="meaning")
    ways["own signals"] = replace(whole, queries="list")
    ways["the list"] = replace(whole, queries="own signals")
    off: dict[str, FusionSettings] = {"freshness": replace(served, freshness_weight=0.0)}
    if whole.popular:
        ways["popularity"] = replace(whole, popular=False)
        off["the first own places"] = replace(served, own_places=0)
    off["places in turn"] = replace(served, diversity=0.0)
    # 1 is as far as the setting goes: titles of the very same words still count as one story.
    off["near-duplicates"] = replace(served, near_duplicate=1.0)
    off["category roof"] = replace(served, category_share=1.0)
    return ways | {name: replace(whole, settings=settings) for name, settings in off.items()}
