"""From the runs of a request's queries to one list of candidates. Pure, and the same in training.

1. *Merge*: the weighted sum of scores (CombSUM: Fox and Shaw, "Combination of multiple searches",
   TREC-2, 1994): an article gets `weight * score` from every run that holds it. By words the score
   is BM25, a sum over words, so this is the score of the queries' words searched together, as far
   as the runs reach. Ranks alone find less:
   `docs/decisions/2026-11-25-scores-instead-of-ranks.md`. By meaning it is the nearness, 0 to 1. To
   be added, each kind is divided by the mean of the queries' best scores of its kind, so a query
   whose best is poor stays poor; then nearness counts `meaning_weight`, words the rest.
2. *Freshness*: the sum is multiplied by `1 + freshness_weight * (2^(-age / half_life) - 1/2)`,
   which is 1 at one half-life and for an unknown date. Then all sums are divided by the best one,
   so that what a user's own queries say is a number from 0 to 1, however many they are. Where even
   the nearest article is not worth a place, the best one is less than 1 by as much as it is further
   away.
3. *Popularity* stands beside: `popularity_weight` times an article's popularity is added, which is
   1 for the most popular article and grows with the logarithm (`_popularity`). So on real traffic
   the queries improve on what all read, instead of being replaced by it:
   `docs/decisions/2026-11-28-popularity-is-added.md`. Popular articles that no query found stand in
   the same list; where popularity is unknown they count nothing and fill it up, newest first.
4. *Places*: given from the best score down under three rules, see `places`.

A request finds a thousand hits and shows a hundred, so all of this is arithmetic on arrays (see
`articles`), and objects are made only for those that get a place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.errors import ConfigurationError
from service.records import Candidate, Hit, Run
from service.retrieval.articles import ArticleTable, Floats, Hits, Ints, in_one_table
from service.retrieval.places import Merged, give_places

_HOUR_MS = 3_600_000
# Weighted scores are rounded to whole numbers of this unit. Sums of whole numbers below 2^53 are
# exact in any order, so equal scores are real ties and permuting the runs changes nothing.
_UNIT = float(1 << 30)

_TIE = 1e-9
"""Popularity's least weight: among articles that nothing else tells apart, the popular go first."""

_NO_ROWS, _NO_SCORES = np.empty(0, np.intp), np.empty(0)

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FusionSettings:
    """The constants of `fuse`. Raises `ConfigurationError` naming a value out of range."""

    freshness_half_life_h: float = 72.0
    """Hours, above 0."""
    freshness_weight: float = 0.2
    """Gap between an article of this minute and a very old one, 0 to 1."""
    popularity_weight: float = 3.0
    """What the most popular article counts where the best of the user's own counts 1, 0 to 10."""
    diversity: float = 0.25
    """Least share of the places that goes to the queries in turn, 0 (none) to 1 (all)."""
    own_places: int = 10
    """First places that go by the user's own queries alone, without popularity, 0 to 500."""
    category_share: float = 0.8
    """Largest share of the places for one category, above 0, to 1 (no bound)."""
    meaning_weight: float = 0.6
    """What nearness counts beside words where there is both, 0 (words alone) to 1."""
    worth_a_place: float = 0.4
    """Nearness from which an article is worth a place that its query is given, 0 to 1."""
    near_duplicate: float = 0.7
    """Similarity from which two titles are one story, above 0, to 1 (the same words)."""

    def __post_init__(self) -> None:
        ranges = {
            "freshness_half_life_h": (self.freshness_half_life_h > 0, "above 0"),
            "freshness_weight": (0 <= self.freshness_weight <= 1, "0 to 1"),
            "popularity_weight": (0 <= self.popularity_weight <= 10, "0 to 10"),
            "diversity": (0 <= self.diversity <= 1, "0 to 1"),
            "own_places": (0 <= self.own_places <= 500, "0 to 500"),
            "category_share": (0 < self.category_share <= 1, "above 0, up to 1"),
            "meaning_weight": (0 <= self.meaning_weight <= 1, "0 to 1"),
            "worth_a_place": (0 <= self.worth_a_place <= 1, "0 to 1"),
            "near_duplicate": (0 < self.near_duplicate <= 1, "above 0, up to 1"),
        }
        for name, (inside, allowed) in ranges.items():
            value = getattr(self, name)
            if not (inside and isfinite(value)):
                raise ConfigurationError(f"fusion: {name} is {value}, but must be {allowed}")


def fuse(
    runs: Sequence[Run],
    *,
    limit: int,
    now_ms: int,
    exclude: Collection[str],
    settings: FusionSettings,
    read: Collection[str] = (),
    popular: Sequence[Hit] = (),
) -> tuple[Candidate, ...]:
    """Merge runs into at most `limit` candidates, best first, without the ids in `exclude`.

    `popular` are the most popular articles, most first, with ties broken as below; their scores are
    not looked at. Those that no run holds have the origin `popular`. `read` are titles of articles
    that the user knows. No near-duplicate of these is among the candidates, nor any of an excluded
    article that is found or popular; the titles of others are unknown.
    Failed runs and those of weight 0 are passed over; the hits of a run are distinct, and their
    scores are of one scale and not negative. Ties go to the newer article, then to the lower id.
    `matched` and `ranks` of a candidate refer to `runs`, and hold those of its near-duplicates too.
    """
    used = [
        (i, run)
        for i, run in enumerate(runs)
        if run.ok and run.query.weight > 0 and (run.hits or run.near)
    ]
    if not (used or popular) or limit <= 0:
        return ()
    return give_places(
        _merge(used, popular, now_ms, exclude, settings, read),
        limit=limit,
        diversity=settings.diversity,
        own_places=settings.own_places,
        category_share=settings.category_share,
        near_duplicate=settings.near_duplicate,
    )


def _merge(
    used: Sequence[tuple[int, Run]],
    popular: Sequence[Hit],
    now_ms: int,
    exclude: Collection[str],
    settings: FusionSettings,
    read: Collection[str],
) -> Merged:
    """Score the articles and sort them, best first, without the excluded ones."""
    table, lists = in_one_table([*_lists(used), popular])
    *found, beside = lists
    articles = _distinct(table, found, beside, exclude)
    rows, excluded, count = articles.rows, articles.excluded, len(articles.rows)
    shape = tuple([(i, len(run.hits), len(run.near), run.query.weight) for i, run in used])
    runs, ranks, weights, near = _layout(shape)
    scores = np.concatenate([_NO_SCORES, *[hits.scores for hits in found]])
    worth = np.ones(len(scores), bool)
    trust = 1.0
    if near.any():
        worth = near & (scores >= settings.worth_a_place)
        trust = _trust(scores[near].max(), settings.worth_a_place)
        scores = scores * _scales(found, near, settings.meaning_weight)

    totals = np.bincount(articles.of_hits, weights=np.rint(weights * scores), minlength=count)
    published, popularity = table.columns.published[rows], table.columns.popularity[rows]
    totals[excluded] = popularity[excluded] = 0.0
    half_lives = np.maximum(now_ms - published, 0.0) / (settings.freshness_half_life_h * _HOUR_MS)
    half_lives[published == 0] = 1.0
    own = totals * (1 + settings.freshness_weight * (np.exp2(-half_lives) - 0.5))
    best = own.max(initial=0.0)
    weight = max(settings.popularity_weight, _TIE)
    own = own * (trust / best if best else 0.0)
    shares = _popularity(popularity, half_lives)
    keys = -own - weight * shares
    keys[excluded] = np.inf
    # Popular articles come in the order of ties, so what a stable sort leaves is right for them.
    order, tied = _ascending(keys)
    ordered = keys[order]
    if tied and ((ordered[1:] == ordered[:-1]) & (order[1:] < articles.searched)).any():
        ids = [table.headlines[row][0] for row in rows.tolist()]
        by_id = np.empty(count, np.intp)
        by_id[sorted(range(count), key=ids.__getitem__)] = np.arange(count)
        order = np.lexsort((by_id, -published, keys))

    places = np.empty(count, np.intp)
    places[order] = np.arange(count)
    kept = count - len(excluded)
    front: list[int] = []
    if trust == 1 and shares.any():
        by_rank = own[order[:kept]]
        found_at = np.flatnonzero(by_rank)
        front = found_at[_ascending(-by_rank[found_at])[0]].tolist()
    return Merged.of(
        table=table,
        rows=rows[order[:kept]],
        scores=-ordered[:kept],
        flat=places[articles.of_hits],
        runs=runs,
        ranks=ranks,
        worth=worth,
        front=front,
        unwanted=(*read, *sorted([table.headlines[row][1] for row in rows[excluded].tolist()])),
    )


def _lists(used: Sequence[tuple[int, Run]]) -> list[Sequence[Hit]]:
    """The lists of these runs: by words and by meaning of each."""
    return [hits for _, run in used for hits in (run.hits, run.near)]


class _Distinct(NamedTuple):
    """Articles, each once: those that searches found, then popular ones that none did."""

    rows: Ints
    """Of each article, in the table: those of the last hit where an id has several."""
    searched: int
    """How many were found."""
    of_hits: Ints
    """The article of each hit."""
    excluded: Ints


def _distinct(
    table: ArticleTable, found: Sequence[Hits], popular: Hits, exclude: Collection[str]
) -> _Distinct:
    """The articles of these lists."""
    numbers = table.columns.numbers
    hits = np.concatenate([_NO_ROWS, *[one.rows for one in found]])
    of_found, of_popular = numbers[hits], numbers[popular.rows]
    # Two arrays as long as the table take less time than sorting a thousand numbers.
    there = np.zeros(table.ids, bool)
    there[of_found] = True
    distinct = np.flatnonzero(there)
    searched = len(distinct)
    others = np.flatnonzero(~there[of_popular])
    article = np.empty(len(there), np.intp)
    article[distinct] = np.arange(searched)
    article[of_popular[others]] = searched + np.arange(len(others))
    of_hits = article[of_found]
    rows = np.empty(searched, np.intp)
    rows[of_hits] = hits
    excluded: list[int] = []
    if exclude:
        there[of_popular] = True
        excluded = [number for number in table.numbers_of(exclude) if there[number]]
    return _Distinct(
        rows=np.concatenate([rows, popular.rows[others]]),
        searched=searched,
        of_hits=of_hits,
        excluded=article[np.array(excluded, np.intp)],
    )


def _scales(found: Sequence[Hits], near: Bools, meaning_weight: float) -> Floats:
    """What the score of each hit is multiplied by, so that both kinds can be added."""
    by_words, by_meaning = _mean_best(found[::2]), _mean_best(found[1::2])
    if not by_words:
        return np.ones(len(near))
    words = (1 - meaning_weight) / by_words
    meaning = meaning_weight / by_meaning if by_meaning else 0.0
    return np.where(near, meaning, words)


def _mean_best(lists: Sequence[Hits]) -> float:
    """The mean of the best scores, over the lists that hold anything."""
    best = [float(hits.scores[0]) for hits in lists if len(hits)]
    return sum(best) / len(best) if best else 0.0


@lru_cache(256)
def _layout(
    shape: tuple[tuple[int, int, int, float], ...],
) -> tuple[Ints, Ints, Floats, Bools]:
    """Run, rank and weight (in units) of each hit, and whether it was found by meaning.

    `shape` holds each run's number, its hits by words, those by meaning, and its weight: much the
    same from request to request.
    """
    lengths = [words + near for _, words, near, _ in shape]
    parts = [length for _, words, near, _ in shape for length in (words, near)]
    runs = np.repeat(np.array([run for run, *_ in shape], np.intp), lengths)
    ranks = np.concatenate([np.empty(0, np.intp), *[np.arange(1, n + 1) for n in parts]])
    weights = np.repeat([weight * _UNIT for *_, weight in shape], lengths)
    return runs, ranks, weights, np.repeat([False, True] * len(shape), parts)


def _ascending(values: Floats) -> tuple[Ints, bool]:
    """The order in which they rise, equal ones in their order, and whether any are equal."""
    order = values.argsort()  # five times as fast as a stable one, and the same without ties
    ordered = values[order]
    tied = bool((ordered[1:] == ordered[:-1]).any())
    return (values.argsort(kind="stable") if tied else order), tied


def _trust(nearest: float, worth_a_place: float) -> float:
    """How much the best of the user's own articles counts, by how near any of them is, 0 to 1."""
    return min(1.0, nearest / worth_a_place) if worth_a_place else 1.0


def _popularity(popularity: Floats, half_lives: Floats) -> Floats:
    """Popularities as fused: on a logarithmic scale, less for older ones, 1 for the most popular.

    What was read most was often read long ago, so the logarithm is divided by 1 plus the age in
    half-lives. All are 0 where nothing is known.
    """
    shares: Floats = np.log1p(np.maximum(popularity, 0.0)) / (1 + half_lives)
    most = shares.max(initial=0.0)
    return shares / most if most > 0 else shares
