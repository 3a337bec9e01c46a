"""An evaluation set in an embedded index of its own, ranked as the service ranks."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Literal

from models.evaluation.near import NearArticles
from models.evaluation.sets import EvaluationSet, EvaluationUser, PrintedAfter
from models.progress import Progress, untold
from service.defaults import HITS_PER_QUERY, LIMIT, OWN_SIGNALS, OWN_WEIGHT, POPULAR_SIZE
from service.encoding.indexing import OnnxArticles
from service.encoding.onnx import OnnxModel
from service.records import Candidate, Filters, Hit, Query, Run
from service.retrieval.fusion import FusionSettings, fuse
from service.retrieval.indexes import loading
from service.retrieval.indexes import tantivy_files as files
from service.retrieval.indexes.analysis import bounded, build_analyzer
from service.retrieval.indexes.tantivy import popular, search
from service.retrieval.indexes.tantivy_vectors import open_table
from service.retrieval.indexes.tantivy_writer import TantivyWriter

_DEEPER = 4
_DEEPEST = 3_200
"""Hits of a query that are looked through for live ones at the most."""
_PART = 1_000
"""Hits of each part of a text that is too long for one search."""
_RANKED = 1_000
"""Articles that popularity and recency rank, for scores within an impression."""
_NO_FILTER = Filters()

_Look = Callable[[str, int, Filters], Sequence[Hit]]
"""The best hits of a text, so many, among those that a filter lets through."""
SearchedBy = Literal["words", "meaning", "both"]
"""Which searches are merged. With no encoder "both" is words alone."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Candidates, best first, and a score for everything that was found."""

    ids: tuple[str, ...]
    scores: Mapping[str, float]


class Bench:
    """A context manager: the index lies in a temporary folder that goes with it.

    Searches run in the caller's thread. Raises what loading an index raises.
    """

    def __init__(
        self,
        data: EvaluationSet,
        *,
        settings: FusionSettings | None = None,
        hits: int = HITS_PER_QUERY,
        limit: int = LIMIT,
        own_weight: float = OWN_WEIGHT,
        encoder: OnnxModel | None = None,
        progress: Progress = untold,
    ) -> None:
        """`own_weight` is what an own signal weighs beside a list, each of whose queries weighs 1.
        With an `encoder` queries are searched by meaning too. `progress` is called with the number
        of articles just indexed.

        What it ranks by may be changed between rankings: `own_signals` (how many are searched
        beside a list), `own_weight`, `settings`, `searched_by`.
        """
        self.data = data
        self.hits, self.limit, self.own_weight = hits, limit, own_weight
        self.own_signals = OWN_SIGNALS
        self.settings = settings or FusionSettings()
        self.searched_by: SearchedBy = "both"
        self.shallow = 0
        """Searches that gave fewer than `hits` live articles though there may be more."""
        self._folder = tempfile.TemporaryDirectory(prefix="interests-evaluation-")
        try:
            path = Path(self._folder.name)
            articles = OnnxArticles(encoder) if encoder else None
            writer = TantivyWriter(path)
            asyncio.run(loading.load(writer, data.articles, encoder=articles, on_progress=progress))
            generation = files.live(path)
            opened = files.open_generation(generation)
            opened.reload()
            self._searcher = opened.searcher()
            table = open_table(generation, self._searcher)
            self._analyzer = build_analyzer()
            self._popular = popular(self._searcher, len(data.articles))
        except BaseException:
            self._folder.cleanup()
            raise
        self._hits = {hit.id: hit for hit in self._popular}
        self._near = NearArticles(encoder, table) if encoder and table else None
        self._found: dict[tuple[str, str, int], Run] = {}
        self._of: str | None = None

    def turn_to(self, data: EvaluationSet) -> None:
        """Go on with other users over the same articles, which are not indexed again.

        Raises `ValueError` where the articles are others.
        """
        if data.articles != self.data.articles:
            raise ValueError("these users are of other articles than the bench has indexed")
        self.data, self._of = data, None

    @property
    def by_meaning(self) -> bool:
        """Whether queries are searched by meaning too."""
        return self._near is not None

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del self._searcher
        self._folder.cleanup()

    def rank(
        self,
        user: EvaluationUser,
        queries: Sequence[Query],
        *,
        popular: bool = False,
        hits: int | None = None,
        scored: bool | None = None,
    ) -> Ranked:
        """Search the queries, `hits` of each, and merge them.

        `scored` says whether all that was found gets a score; by default where users are a log's.
        `popular` serves popularity as the gateway does: as far as articles have any, it is added,
        and popular articles stand among those found. Without it popularity counts nothing.
        """
        runs = [self.search(user, query, hits or self.hits) for query in queries]
        return self.merged(user, runs, popular=popular, scored=scored)

    def merged(
        self,
        user: EvaluationUser,
        runs: Sequence[Run],
        *,
        popular: bool = False,
        scored: bool | None = None,
    ) -> Ranked:
        """Runs merged as the gateway merges them; see `rank`."""
        settings = self.settings
        beside: tuple[Hit, ...] = ()
        if popular:
            beside = self._popular_hits(user)
            runs = [self._with_popularity(user, run) for run in runs]
        else:
            settings = replace(settings, popularity_weight=0.0)
        scores: dict[str, float] = {}
        if scored is None:
            scored = not self.data.simulated
        if scored:
            found = len(beside) + sum(len(run.hits) + len(run.near) for run in runs)
            everything = self._fuse(user, runs, beside, found, settings)
            scores = {candidate.article.id: candidate.score for candidate in everything}
        best = self._fuse(user, runs, beside, self.limit, settings)
        return Ranked(tuple(candidate.article.id for candidate in best), scores)

    def popular(self, user: EvaluationUser) -> Ranked:
        """The most popular live articles that are not excluded."""
        return self._direct(self._most_popular(user, _RANKED))

    def recent(self, user: EvaluationUser) -> Ranked:
        """The newest live articles that are not excluded."""
        return self._direct(_first(self.data.newest, user, _RANKED))

    def _direct(self, ids: Sequence[str]) -> Ranked:
        return Ranked(tuple(ids[: self.limit]), {id_: 1 / rank for rank, id_ in enumerate(ids, 1)})

    def _most_popular(self, user: EvaluationUser, most: int) -> list[str]:
        if user.popular is not None:
            return _first(tuple(user.popular), user, most)
        return _first([hit.id for hit in self._popular], user, most)

    def _popular_hits(self, user: EvaluationUser) -> tuple[Hit, ...]:
        """As many as the gateway's snapshot holds, with the popularity of the user's moment."""
        ids = self._most_popular(user, POPULAR_SIZE)
        clicks = user.popular
        if clicks is None:
            return tuple([self._hits[id_] for id_ in ids])
        return tuple([replace(self._hits[id_], popularity=clicks[id_]) for id_ in ids])

    def _with_popularity(self, user: EvaluationUser, run: Run) -> Run:
        """The run, whose hits have the popularity of the user's moment."""
        clicks = user.popular
        if clicks is None:
            return run
        hits, near = (
            tuple([replace(hit, popularity=clicks.get(hit.id, 0.0)) for hit in found])
            for found in (run.hits, run.near)
        )
        return replace(run, hits=hits, near=near)

    def _fuse(
        self,
        user: EvaluationUser,
        runs: Sequence[Run],
        popular: Sequence[Hit],
        limit: int,
        settings: FusionSettings,
    ) -> tuple[Candidate, ...]:
        now_ms = user.now_ms if self.data.now_ms is None else self.data.now_ms
        return fuse(
            runs,
            limit=limit,
            now_ms=now_ms,
            exclude=user.exclude,
            settings=settings,
            popular=popular,
        )

    def search(self, user: EvaluationUser, query: Query, hits: int) -> Run:
        """The first live hits. Kept for the same user, whose systems share most of their texts."""
        if user.id != self._of:
            self._found, self._of = {}, user.id
        text, said = query.text, query.meaning
        if (known := self._found.get((text, said, hits))) is None:
            near = self._live_hits(self._near.find, user, said, hits) if self._near else ()
            known = Run(query, self._live_hits(self._look, user, text, hits), near=near)
            self._found[text, said, hits] = known
        if self.searched_by == "words":
            return replace(known, query=query, near=())
        if self.searched_by == "meaning":
            return replace(known, query=query, hits=())
        return replace(known, query=query)

    def _live_hits(self, look: _Look, user: EvaluationUser, text: str, hits: int) -> Sequence[Hit]:
        if user.live is None:
            return look(text, hits, _NO_FILTER)
        if isinstance(user.live, PrintedAfter):
            return look(text, hits, Filters(published_after_ms=user.live.at_ms + 1))
        depth = hits
        while True:
            found = look(text, depth, _NO_FILTER)
            live = [hit for hit in found if hit.id in user.live][:hits]
            if len(live) == hits or len(found) < depth:
                return tuple(live)
            if depth >= _DEEPEST:
                self.shallow += 1
                return tuple(live)
            depth = min(depth * _DEEPER, _DEEPEST)

    def _look(self, text: str, depth: int, filters: Filters) -> Sequence[Hit]:
        """Search a text of any length. The index reads the start of a long one only, but its score
        is a sum over words: the parts' scores are added up, over each part's first thousand.
        """
        parts = tuple(_parts(text))
        if len(parts) <= 1:
            return search(self._searcher, self._analyzer, text, depth, filters)
        totals: dict[str, float] = {}
        for part in parts:
            for hit in search(self._searcher, self._analyzer, part, _PART, filters):
                totals[hit.id] = totals.get(hit.id, 0.0) + hit.score
        summed = (replace(self._hits[id_], score=score) for id_, score in totals.items())
        best = nsmallest(depth, summed, key=lambda hit: (-hit.score, -hit.published_ms, hit.id))
        return tuple(best)


def _parts(text: str) -> Iterator[str]:
    """The text cut between words into parts that the index reads to their ends."""
    part = ""
    for word in text.split():
        longer = f"{part} {word}".lstrip()
        if part and bounded(longer) != longer:
            yield part
            longer = word
        part = longer
    yield part


def _first(ids: Sequence[str], user: EvaluationUser, most: int) -> list[str]:
    """The first `most` ids that are live and not excluded."""
    fit = (
        id_ for id_ in ids if id_ not in user.exclude and (user.live is None or id_ in user.live)
    )
    return list(islice(fit, most))
