"""What several samples of one student agree on. Pure.

After the idea of self-consistency (Wang et al. 2022, arXiv 2203.11171): what a model says in many
of its samples is more likely meant than what it says in one. There whole answers are counted; here
the queries of a list, where two count as the same when their stems nearly do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from service.languages import ENGLISH, Language
from service.records import Query
from service.words.text import alike, distinct, stems

SAME = 2 / 3
"""Jaccard index of stems from which two queries mean the same. Four words with one of them
exchanged (3 of 5) stay apart; one word more or less (3 of 4) does not."""


@dataclass(frozen=True, slots=True)
class _Said:
    """A query as one sample has it, at its 0-based place in that sample's list."""

    sample: int
    rank: int
    query: Query


@dataclass(slots=True)
class _Meaning:
    """All that was said with one set of stems."""

    stems: frozenset[str]
    said: list[_Said]


def consensus(
    lists: Sequence[Sequence[Query]], max_queries: int, language: Language = ENGLISH
) -> tuple[Query, ...]:
    """Merge the lists of `n` samples into one of at most `max_queries`, the most agreed on first.

    A merged query weighs `Σ_s w_s / n`, where `w_s` is the largest weight it has in sample `s` (0
    where it is missing): said by k of n samples at weight 1, it weighs k / n. So a weighted sum
    over the merged list is the mean of the sums over the samples' own lists. The text is the
    medoid of what was said, its signals are the union. Ties go to the earlier rank.

    One list comes back as it is. The order of the lists does not matter, and one more sample that
    says a query never lowers its weight (`tests/unit/service/generation/test_consensus.py`).
    """
    if len(lists) == 1:
        return tuple(lists[0][:max_queries])
    ranked = []
    for cluster in _clusters(_meanings(lists, language)):
        said = [saying for meaning in cluster for saying in meaning.said]
        best: dict[int, float] = {}
        for saying in said:
            best[saying.sample] = max(best.get(saying.sample, 0.0), saying.query.weight)
        # Sorted, so that the order of the samples cannot reach the last bit of the sum.
        weight = sum(sorted(best.values())) / len(lists)
        query = replace(_medoid(cluster), weight=weight, signals=_signals(said))
        ranks = sorted(saying.rank for saying in said)
        ranked.append((-weight, ranks[0], sum(ranks) / len(ranks), query.text, query))
    ranked.sort(key=lambda entry: entry[:4])
    return tuple(entry[4] for entry in ranked[:max_queries])


def _meanings(lists: Sequence[Sequence[Query]], language: Language) -> list[_Meaning]:
    by_stems: dict[frozenset[str], _Meaning] = {}
    for sample, queries in enumerate(lists):
        for rank, query in enumerate(queries):
            key = stems(query.text, language) or frozenset({query.text})
            by_stems.setdefault(key, _Meaning(key, [])).said.append(_Said(sample, rank, query))
    return list(by_stems.values())


def _clusters(meanings: Sequence[_Meaning]) -> list[list[_Meaning]]:
    """Connected components of "means the same": they depend on no order, and only ever grow."""
    clusters: list[list[_Meaning]] = []
    for meaning in meanings:
        touching: list[list[_Meaning]] = []
        apart: list[list[_Meaning]] = []
        for cluster in clusters:
            near = any(alike(meaning.stems, other.stems, SAME) for other in cluster)
            (touching if near else apart).append(cluster)
        clusters = [*apart, [meaning, *(m for cluster in touching for m in cluster)]]
    return clusters


def _medoid(cluster: Sequence[_Meaning]) -> Query:
    """What was said that is nearest to all that was said, every saying counted."""
    if len(cluster) == 1:
        first = min(cluster[0].said, key=lambda saying: (saying.rank, saying.query.text))
        return first.query
    ordered = sorted(cluster, key=lambda meaning: sorted(meaning.stems))

    def distance(meaning: _Meaning) -> float:
        return sum(
            len(other.said)
            * (1 - len(meaning.stems & other.stems) / len(meaning.stems | other.stems))
            for other in ordered
        )

    candidates = (
        (distance(meaning), saying.rank, saying.query.text, saying.query)
        for meaning in cluster
        for saying in meaning.said
    )
    return min(candidates, key=lambda entry: entry[:3])[3]


def _signals(said: Iterable[_Said]) -> tuple[str, ...]:
    """The signals of all, those of earlier ranks first."""
    ordered = sorted(
        said, key=lambda saying: (saying.rank, saying.query.text, saying.query.signals)
    )
    return distinct(id_ for saying in ordered for id_ in saying.query.signals)
