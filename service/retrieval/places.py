"""Who gets the places of the list: by score, a floor for every query, a roof for categories.

Articles are taken from the best score down, and:

- a near-duplicate of what the user has read or does not want takes no place, and serves no query;
- a near-duplicate of an article already placed takes no place; that article inherits the queries
  that found it (`titles`);
- every stretch of `ceil(queries / diversity)` places holds an article of each query that has one
  left. This is a lower quota over prefixes, as in the DetGreedy ranker (Geyik, Ambler and
  Kenthapadi, "Fairness-aware ranking", KDD 2019), with the queries as groups. Scores alone cannot
  give it: the first hit of a query of two words may stand behind the fiftieth of a headline's. A
  query whose article proves to be a near-duplicate has had its turn in this stretch: the place that
  serves it is the earlier one, which may be of a stretch before;
- a category takes at most `ceil(category_share * limit)` places while others have articles left.
  An article without a category counts for none. Only a query's quota may go beyond that.

A candidate's score is that of its place, so it never rises along the list: an article put forward
by its query gets the score of the article it goes before, one put off by its category at most that
of the article it comes after. All others keep their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import heapify, heappop, heapreplace
from math import ceil

import numpy as np
import numpy.typing as npt

from service.records import Candidate, Hit
from service.retrieval.titles import TitleIndex

Ints = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Merged:
    """Scored articles, best first, with the runs and ranks where each was found.

    Article `i` was found in `runs[bounds[i]:bounds[i + 1]]`, ascending, at the same part of
    `ranks`. The articles behind the last of `hits` are excluded: they have no score and no place.
    """

    hits: list[Hit]
    scores: list[float]
    bounds: list[int]
    runs: tuple[int, ...]
    ranks: tuple[int, ...]
    flat: Ints
    """The article of each hit, run by run."""
    spans: list[tuple[int, int, int]]
    """Each run's number, and where its hits begin and end in `flat`."""
    unwanted: tuple[str, ...]
    """Titles of stories that get no place under any id."""

    @classmethod
    def of(
        cls,
        *,
        hits: list[Hit],
        scores: npt.NDArray[np.float64],
        flat: Ints,
        runs: Ints,
        ranks: Ints,
        spans: list[tuple[int, int, int]],
        unwanted: tuple[str, ...],
    ) -> Merged:
        """Group the hits, given run by run, by article."""
        grouped = flat.argsort(kind="stable")
        return cls(
            hits=hits,
            scores=scores.tolist(),
            bounds=[0, *np.bincount(flat).cumsum().tolist()],
            runs=tuple(runs[grouped].tolist()),
            ranks=tuple(ranks[grouped].tolist()),
            flat=flat,
            spans=spans,
            unwanted=unwanted,
        )

    def queues(self) -> dict[int, list[int]]:
        """The articles of each run, best score last."""
        flat = self.flat.tolist()
        return {run: sorted(flat[start:end], reverse=True) for run, start, end in self.spans}


def give_places(
    merged: Merged, *, limit: int, diversity: float, category_share: float, near_duplicate: float
) -> tuple[Candidate, ...]:
    """The first `limit` candidates under the rules above.

    One loop over local names on purpose: it runs for every place of every answer.
    """
    hits, scores, bounds, runs = merged.hits, merged.scores, merged.bounds, merged.runs
    count = len(hits)
    queries = frozenset(runs[: bounds[count]])
    stretch = ceil(len(queries) / diversity) if diversity else limit
    room = ceil(category_share * limit)
    titles = TitleIndex(near_duplicate)
    add_title = titles.add
    for title in merged.unwanted:
        add_title(title)
    known = len(titles)
    quota = _Quota(merged)
    gone = quota.gone
    waiting: set[int] = set()

    placed: list[int] = []
    levels: list[float] = []
    repeats: dict[int, list[int]] = {}  # place → its near-duplicates
    taken: dict[str, int] = {}
    full: set[str] = set()  # categories that have all the places they may
    put_off: list[int] = []
    head = next_put_off = 0
    left = 0  # places in this stretch
    level = float("inf")
    while len(placed) < limit:
        if left == 0:
            left = min(stretch, limit - len(placed))
            waiting = quota.start(queries) if diversity else waiting
        while head < count and (gone[head] or (full and hits[head].category in full)):
            if not gone[head]:
                put_off.append(head)
            head += 1
        article = quota.due() if left <= len(waiting) else None
        if article is None:
            article = head
            if head == count:
                while next_put_off < len(put_off) and gone[put_off[next_put_off]]:
                    next_put_off += 1
                if next_put_off == len(put_off):
                    break
                article = put_off[next_put_off]

        gone[article] = 1
        hit = hits[article]
        repeated = add_title(hit.title)
        if repeated is not None and repeated < known:
            continue
        if waiting:
            waiting.difference_update(runs[bounds[article] : bounds[article + 1]])
        if repeated is not None:
            repeats.setdefault(repeated - known, []).append(article)
            continue
        score = scores[article]
        if head < count and scores[head] > score:
            score = scores[head]
        if score < level:
            level = score
        placed.append(article)
        levels.append(level)
        left -= 1
        if category := hit.category:
            taken[category] = number = taken.get(category, 0) + 1
            if number == room:
                full.add(category)

    ranks = merged.ranks
    candidates = [
        Candidate(
            hits[article],
            level,
            runs[bounds[article] : bounds[article + 1]],
            ranks[bounds[article] : bounds[article + 1]],
        )
        for article, level in zip(placed, levels, strict=True)
    ]
    for place, others in repeats.items():
        candidates[place] = _inherit(candidates[place], merged, others)
    return tuple(candidates)


def _inherit(candidate: Candidate, merged: Merged, repeats: list[int]) -> Candidate:
    """The candidate, with all that found one of its near-duplicates."""
    best = dict(zip(candidate.matched, candidate.ranks, strict=True))
    for article in repeats:
        for i in range(merged.bounds[article], merged.bounds[article + 1]):
            run, rank = merged.runs[i], merged.ranks[i]
            best[run] = min(rank, best.get(run, rank))
    matched = tuple(sorted(best))
    return replace(candidate, matched=matched, ranks=tuple([best[run] for run in matched]))


class _Quota:
    """The queries that still wait for a place in this stretch, and the best article of any."""

    def __init__(self, merged: Merged) -> None:
        count = len(merged.hits)
        self.gone = bytearray(count) + b"\x01" * (len(merged.bounds) - 1 - count)
        """1 for an article that has its place, or will never have one."""
        self._merged = merged
        self._queues: dict[int, list[int]] = {}
        self._heads: list[tuple[int, int]] | None = None
        self._waiting: set[int] = set()

    def start(self, queries: frozenset[int]) -> set[int]:
        """Begin a stretch. The caller removes from the returned set who has got a place."""
        self._waiting = set(queries)
        self._heads = None
        return self._waiting

    def due(self) -> int | None:
        """The best article of any waiting query; a query with none left stops waiting."""
        waiting = self._waiting
        if self._heads is None:
            self._queues = self._queues or self._merged.queues()
            self._heads = [head for run in tuple(waiting) if (head := self._head(run))]
            heapify(self._heads)
        while heads := self._heads:
            article, run = heads[0]
            if run not in waiting:
                heappop(heads)
            elif not self.gone[article]:
                return article
            elif head := self._head(run):
                heapreplace(heads, head)
            else:
                heappop(heads)
        return None

    def _head(self, run: int) -> tuple[int, int] | None:
        queue = self._queues[run]
        while queue and self.gone[queue[-1]]:
            queue.pop()
        if queue:
            return queue[-1], run
        self._waiting.discard(run)
        return None
