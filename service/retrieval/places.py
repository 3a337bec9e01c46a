"""Who gets the places of the list: by score, a floor for every query, a roof for categories.

Articles are taken from the best score down, and:

- a near-duplicate of what the user has read or does not want takes no place, and serves no query;
- a near-duplicate of an article already placed takes no place; that article inherits the queries
  that found it (`titles`);
- every stretch of `ceil(queries / diversity)` places holds an article of each query that has one
  left that is worth it: near enough, where articles are found by meaning. So an errand that no news
  is about gets none. Every `1 / diversity`-th place goes to the best article of those that have
  none yet, so that the first places tell of several interests. This is a lower quota over prefixes,
  as in the DetGreedy ranker (Geyik, Ambler and Kenthapadi, "Fairness-aware ranking", KDD 2019),
  with the queries as groups. Scores alone cannot give it: the first hit of a query of two words may
  stand behind the fiftieth of a headline's. A query whose article proves to be a near-duplicate has
  had its turn in this stretch: the place that serves it is the earlier one, which may be of a
  stretch before;
- the first `own_places` go by what the user's own queries say, without popularity, where any
  article is near enough to be worth a place. What a reader sees first is then about them, and a
  longer list still holds what all read;
- of the first `n` places a category takes at most `ceil(category_share * n)` while others have
  articles left. An article without a category counts for none. Only a query's quota may go beyond.

No rule knows how long the list will be, so a longer list begins with the shorter one. A candidate's
score is its own: where it goes before one with a higher score, `placed_by` says which rule did it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heapreplace
from math import ceil

import numpy as np
import numpy.typing as npt

from service.records import Candidate, CandidateSource, PlacedBy
from service.retrieval.articles import ArticleTable, Floats, Ints
from service.retrieval.titles import TitleIndex

SEARCH, POPULAR = CandidateSource.SEARCH, CandidateSource.POPULAR

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Merged:
    """Scored articles, best first, with the runs and ranks where each was found.

    Article `i` was found in `runs[bounds[i]:bounds[i + 1]]`, ascending, at the same part of
    `ranks`; one in none of them is there because it is popular.
    """

    table: ArticleTable
    rows: list[int]
    """Of each article, in the table."""
    scores: Floats
    bounds: list[int]
    runs: tuple[int, ...]
    ranks: tuple[int, ...]
    front: list[int]
    """The found articles by their own scores alone, best first; empty where these do not go first.
    """
    queues: dict[int, list[int]]
    """The articles of each run that are worth a place it is given, best score last."""
    unwanted: tuple[str, ...]
    """Titles of stories that get no place under any id."""

    @classmethod
    def of(
        cls,
        *,
        table: ArticleTable,
        rows: Ints,
        scores: Floats,
        flat: Ints,
        runs: Ints,
        ranks: Ints,
        worth: Bools,
        front: list[int],
        unwanted: tuple[str, ...],
    ) -> Merged:
        """Group the hits by article: `flat`, `runs`, `ranks` and `worth` are of each hit.

        An article that a run holds twice, found by words and by meaning, counts once, at its
        better rank. Hits of articles behind the last of `rows` are left out.
        """
        count = len(rows)
        kept = flat < count
        if not kept.all():
            flat, runs, ranks, worth = flat[kept], runs[kept], ranks[kept], worth[kept]
        # One number a hit, sorted, takes a tenth of the time of sorting by three.
        of_run = int(ranks.max(initial=0)) + 1
        of_article = of_run * (int(runs.max(initial=0)) + 1)
        ordered = np.sort(flat * of_article + runs * of_run + ranks)
        found = ordered // of_run  # article and run
        first = np.ones(len(found), bool)
        first[1:] = found[1:] != found[:-1]
        article, rest = np.divmod(ordered[first], of_article)
        run, rank = np.divmod(rest, of_run)
        ends = np.bincount(article, minlength=count).cumsum()
        return cls(
            table=table,
            rows=rows.tolist(),
            scores=scores,
            bounds=[0, *ends.tolist()],
            runs=tuple(run.tolist()),
            ranks=tuple(rank.tolist()),
            front=front,
            queues=_queues(flat[worth], runs[worth], count),
            unwanted=unwanted,
        )


def _queues(articles: Ints, runs: Ints, count: int) -> dict[int, list[int]]:
    """The articles of each run, the last of all first. `count` is above all of them."""
    last_first = np.sort(runs * count + (count - 1 - articles))
    run, article = np.divmod(last_first, count)
    lengths = np.bincount(run)
    numbers = np.flatnonzero(lengths)
    ends = lengths[numbers].cumsum().tolist()
    queue = (count - 1 - article).tolist()
    return {
        number: queue[begin:end]
        for number, begin, end in zip(numbers.tolist(), [0, *ends], ends, strict=False)
    }


def give_places(
    merged: Merged,
    *,
    limit: int,
    diversity: float,
    own_places: int,
    category_share: float,
    near_duplicate: float,
) -> tuple[Candidate, ...]:
    """The first `limit` candidates under the rules above.

    One loop over local names on purpose: it runs for every place of every answer.
    """
    headlines = merged.table.headlines
    rows, scores = merged.rows, merged.scores
    bounds, runs, ranks = merged.bounds, merged.runs, merged.ranks
    count = len(rows)
    queries = frozenset(merged.queues)
    stretch = ceil(len(queries) / diversity) if diversity else limit
    step = ceil(1 / diversity) if diversity else 0
    titles = TitleIndex(near_duplicate)
    add_title = titles.add
    for title in merged.unwanted:
        add_title(title)
    known = len(titles)
    quota = _Quota(merged)
    gone = quota.gone
    waiting: set[int] = set()

    placed: list[int] = []
    rules: list[PlacedBy] = []
    repeats: dict[int, list[int]] = {}  # place → its near-duplicates
    roof = _Roof(category_share, merged, gone)
    best = 0  # the best article that is left
    left = 0  # places in this stretch
    while len(placed) < limit:
        if left == 0:
            left = stretch
            waiting = quota.start(queries) if diversity else waiting
        while best < count and gone[best]:
            best += 1
        if best == count:
            break
        rule: PlacedBy = "query"
        turn = waiting and (len(placed) % step == step - 1 or left <= len(waiting))
        article = quota.due() if turn else None
        if article is None and len(placed) < own_places:
            rule = "own"
            fit = (own for own in merged.front if not gone[own] and roof.has_room(own))
            article = next(fit, None)
        if article is None:
            rule = "category"
            article = roof.best_allowed(best)

        gone[article] = 1
        _, title, category, _, _ = headlines[rows[article]]
        repeated = add_title(title)
        if repeated is not None and repeated < known:
            continue
        if waiting:
            waiting.difference_update(runs[bounds[article] : bounds[article + 1]])
        if repeated is not None:
            repeats.setdefault(repeated - known, []).append(article)
            continue
        placed.append(article)
        better = article != best and scores[best] > scores[article]
        rules.append(rule if better else "score")
        roof.take(category)
        left -= 1

    candidates = []
    for article, score, rule in zip(placed, scores[placed].tolist(), rules, strict=True):
        begin, end = bounds[article], bounds[article + 1]
        candidates.append(
            Candidate(
                headlines[rows[article]],
                score,
                runs[begin:end],
                ranks[begin:end],
                rule,
                SEARCH if begin < end else POPULAR,
            )
        )
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


class _Roof:
    """How many places a category may have by now, and the articles that wait until it may more."""

    def __init__(self, share: float, merged: Merged, gone: bytearray) -> None:
        self._share = share
        self._headlines, self._rows = merged.table.headlines, merged.rows
        self._gone = gone
        self._head = 0  # the best article that was never put off
        self._places = 0
        self._most = ceil(share)
        self._taken: dict[str, int] = {}
        self._put_off: dict[str, deque[int]] = {}

    def take(self, category: str) -> None:
        """A place is given."""
        self._places += 1
        self._most = ceil(self._share * (self._places + 1))
        if category:
            self._taken[category] = self._taken.get(category, 0) + 1

    def has_room(self, article: int) -> bool:
        """Whether the category of the article may have the next place."""
        category = self._headlines[self._rows[article]][2]
        return not category or self._taken.get(category, 0) < self._most

    def best_allowed(self, best: int) -> int:
        """The best article for the next place; `best` is the best of all that are left.

        Others wait until their category may have one again. Where all that are left would have to
        wait, the best of them.
        """
        if not self._put_off and self.has_room(best):
            return best
        head, gone, count = max(self._head, best), self._gone, len(self._rows)
        while head < count:
            if not gone[head]:
                if self.has_room(head):
                    break
                category = self._headlines[self._rows[head]][2]
                self._put_off.setdefault(category, deque()).append(head)
            head += 1
        self._head = head
        fronts = [article for c in self._put_off if (article := self._front(c)) is not None]
        free = [a for a in fronts if self.has_room(a)]
        if head < count:
            free.append(head)
        return min(free or fronts)

    def _front(self, category: str) -> int | None:
        waiting = self._put_off[category]
        while waiting and self._gone[waiting[0]]:
            waiting.popleft()
        return waiting[0] if waiting else None


class _Quota:
    """The queries that still wait for a place in this stretch, and the best article of any."""

    def __init__(self, merged: Merged) -> None:
        self.gone = bytearray(len(merged.rows))
        """1 for an article that has its place, or will never have one."""
        self._queues = {run: [*queue] for run, queue in merged.queues.items()}
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
