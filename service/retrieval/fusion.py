"""From the runs of a request's queries to one list of candidates. Pure, and the same in training.

1. *Merge*: the weighted sum of scores (CombSUM: Fox and Shaw, "Combination of multiple searches",
   TREC-2, 1994): an article gets `weight * score` from every run that holds it. All runs come from
   one index whose score, BM25, is a sum over words, so this is the score of the queries' words
   searched together, as far as the runs reach. Ranks alone find less:
   `docs/decisions/2026-11-25-scores-instead-of-ranks.md`.
2. *Priors*: the sum is multiplied by `1 + freshness_weight * (2^(-age / half_life) - 1/2)`, which
   is 1 at one half-life and for an unknown date, and by `1 + popularity_weight * p`, where `p` is
   the popularity on a logarithmic scale, 1 for the most popular article of these runs.
3. *Places*: given from the best score down under three rules, see `places`.

A list of 100 out of 20 runs of 50 is to take a millisecond, so the arithmetic is done on arrays
over all articles, and objects are made only for those that get a place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain
from math import isfinite
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from service.errors import ConfigurationError
from service.records import Candidate, Run
from service.retrieval.places import Ints, Merged, give_places

_HOUR_MS = 3_600_000
# Weighted scores are rounded to whole numbers of this unit. Sums of whole numbers below 2^53 are
# exact in any order, so equal scores are real ties and permuting the runs changes nothing.
_UNIT = float(1 << 30)

_id = attrgetter("id")
_published = attrgetter("published_ms")
_popularity = attrgetter("popularity")
_score = attrgetter("score")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FusionSettings:
    """The constants of `fuse`. Raises `ConfigurationError` naming a value out of range."""

    freshness_half_life_h: float = 72.0
    """Hours, above 0."""
    freshness_weight: float = 0.2
    """Gap between an article of this minute and a very old one, 0 to 1."""
    popularity_weight: float = 0.1
    """What the most popular article gains, 0 to 1."""
    diversity: float = 0.5
    """Least share of the places that goes to the queries in turn, 0 (none) to 1 (all)."""
    category_share: float = 0.8
    """Largest share of the places for one category, above 0, to 1 (no bound)."""
    near_duplicate: float = 0.7
    """Similarity from which two titles are one story, above 0, to 1 (the same words)."""

    def __post_init__(self) -> None:
        ranges = {
            "freshness_half_life_h": (self.freshness_half_life_h > 0, "above 0"),
            "freshness_weight": (0 <= self.freshness_weight <= 1, "0 to 1"),
            "popularity_weight": (0 <= self.popularity_weight <= 1, "0 to 1"),
            "diversity": (0 <= self.diversity <= 1, "0 to 1"),
            "category_share": (0 < self.category_share <= 1, "above 0, up to 1"),
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
) -> tuple[Candidate, ...]:
    """Merge runs into at most `limit` candidates, best first, without the ids in `exclude`.

    `read` are titles of articles that the user knows. No near-duplicate of these is among the
    candidates, nor any of an excluded article that a run holds; the titles of others are unknown.
    Failed runs and those of weight 0 are passed over; the hits of a run are distinct, and their
    scores are of one scale and not negative. Ties go to the newer article, then to the lower id.
    `matched` and `ranks` of a candidate refer to `runs`, and hold those of its near-duplicates too.
    Scores never rise along the list.
    """
    used = [(i, run) for i, run in enumerate(runs) if run.ok and run.query.weight > 0 and run.hits]
    if not used or limit <= 0:
        return ()
    return give_places(
        _merge(used, now_ms, exclude, settings, read),
        limit=limit,
        diversity=settings.diversity,
        category_share=settings.category_share,
        near_duplicate=settings.near_duplicate,
    )


def _merge(
    used: Sequence[tuple[int, Run]],
    now_ms: int,
    exclude: Collection[str],
    settings: FusionSettings,
    read: Collection[str],
) -> Merged:
    """Score the articles of the runs and sort them, best first; the excluded ones come last."""
    found = list(chain.from_iterable([run.hits for _, run in used]))
    ids = list(map(_id, found))
    by_id = dict(zip(ids, found, strict=True))
    hits = list(by_id.values())
    numbers = dict(zip(by_id, range(len(hits)), strict=True))
    articles = np.fromiter(map(numbers.__getitem__, ids), np.intp, len(ids))
    shape = tuple([(i, len(run.hits), run.query.weight) for i, run in used])
    runs, ranks, weights, spans = _layout(shape)
    scores = np.fromiter(map(_score, found), np.float64, len(found))

    totals = np.bincount(articles, weights=np.rint(weights * scores))
    published = np.fromiter(map(_published, hits), np.float64, len(hits))
    popularity = np.fromiter(map(_popularity, hits), np.float64, len(hits))
    excluded = [numbers[name] for name in numbers.keys() & exclude] if exclude else []
    popularity[excluded] = 0.0
    keys = totals * _priors(published, popularity, now_ms, settings) / -_UNIT
    keys[excluded] = np.inf
    order = keys.argsort()
    ordered = keys[order]
    if (ordered[1:] == ordered[:-1]).any():
        by_name = np.empty(len(hits), np.intp)
        by_name[[numbers[name] for name in sorted(numbers)]] = np.arange(len(hits))
        order = np.lexsort((by_name, -published, keys))

    places = np.empty(len(hits), np.intp)
    places[order] = np.arange(len(hits))
    kept = len(hits) - len(excluded)
    return Merged.of(
        hits=list(map(hits.__getitem__, order[:kept].tolist())),
        scores=-ordered[:kept],
        flat=places[articles],
        runs=runs,
        ranks=ranks,
        spans=spans,
        unwanted=(*read, *[hits[number].title for number in sorted(excluded)]),
    )


@lru_cache(256)
def _layout(
    shape: tuple[tuple[int, int, float], ...],
) -> tuple[Ints, Ints, Floats, list[tuple[int, int, int]]]:
    """Run, rank and weight (in units) of each hit, and each run's span, of runs of this shape.

    `shape` holds each run's number, length and weight: much the same from request to request.
    """
    lengths = [length for _, length, _ in shape]
    runs = np.repeat([run for run, _, _ in shape], lengths)
    ranks = np.concatenate([np.arange(1, length + 1) for length in lengths])
    weights = np.repeat([weight * _UNIT for _, _, weight in shape], lengths)
    ends = accumulate(lengths)
    spans = [(run, end - length, end) for (run, length, _), end in zip(shape, ends, strict=True)]
    return runs, ranks, weights, spans


def _priors(published: Floats, popularity: Floats, now_ms: int, settings: FusionSettings) -> Floats:
    """The factor of each article."""
    half_lives = np.maximum(now_ms - published, 0.0) / (settings.freshness_half_life_h * _HOUR_MS)
    freshness = np.where(published == 0, 0.5, np.exp2(-half_lives))
    factors = 1 + settings.freshness_weight * (freshness - 0.5)
    most = popularity.max(initial=0.0)
    if most > 0 and settings.popularity_weight > 0:
        shares = np.log1p(np.maximum(popularity, 0.0)) / np.log1p(most)
        factors *= 1 + settings.popularity_weight * shares
    return factors
