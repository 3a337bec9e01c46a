"""Runs that tests of the fusion and of its places merge, made by hand and at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from service.records import Candidate, Hit, Query, Run
from service.retrieval.fusion import FusionSettings, fuse
from tests.unit.service.retrieval.fakes import hit

NOW = 1_800_000_000_000
HOUR = 3_600_000
DEFAULT = FusionSettings()
MERIT = FusionSettings(diversity=0, category_share=1, own_places=0, popularity_weight=1)
"""Score alone decides."""


def run(*names: str, weight: float = 1.0, ok: bool = True, **fields: object) -> Run:
    """A run whose scores fall from 10 on by 1/10 a rank."""
    hits = tuple([hit(name, **{"score": 10 - i / 10, **fields}) for i, name in enumerate(names)])
    return Run(Query(f"about {names[0] if names else 'nothing'}", weight), hits, ok)


def fused(
    *runs: Run,
    limit: int = 100,
    exclude: frozenset[str] = frozenset(),
    settings: FusionSettings = MERIT,
    read: tuple[str, ...] = (),
    popular: Sequence[Hit] = (),
) -> tuple[Candidate, ...]:
    return fuse(
        runs,
        limit=limit,
        now_ms=NOW,
        exclude=exclude,
        settings=settings,
        read=read,
        popular=popular,
    )


def names(candidates: tuple[Candidate, ...]) -> list[str]:
    return [candidate.article.id for candidate in candidates]


ARTICLES = [
    hit(
        f"n{i:02}",
        title=f"Story {i % 23} about the subject {i % 23} of place {i % 23}",
        category=["", "sport", "art"][i % 3],
        published_ms=0 if i % 4 == 0 else NOW - (i % 7) * 20 * HOUR,
        popularity=float(i % 5),
        score=20.0 - i % 11,
    )
    for i in range(30)
]


hit_lists = st.lists(
    st.builds(
        lambda article, score: replace(article, score=score),
        st.sampled_from(ARTICLES),
        st.sampled_from([0.3, 1.0, 7.0, 7.1, 30.0]) | st.floats(0.01, 100),
    ),
    max_size=12,
    unique_by=lambda h: h.id,
).map(lambda hits: sorted(hits, key=lambda h: -h.score))
run_sets = st.lists(
    st.builds(
        lambda hits, weight, ok: Run(Query("q", weight), tuple(hits), ok),
        hit_lists,
        st.sampled_from([0.1, 0.5, 1.0, 1.3]),
        st.sampled_from([True, True, True, False]),
    ),
    max_size=6,
)
settings_sets = st.builds(
    FusionSettings,
    freshness_weight=st.sampled_from([0.0, 0.2, 1.0]),
    popularity_weight=st.sampled_from([0.0, 0.1, 1.0]),
    diversity=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    own_places=st.sampled_from([0, 3, 10]),
    category_share=st.sampled_from([0.3, 0.8, 1.0]),
    near_duplicate=st.sampled_from([0.5, 0.7, 1.0]),
)
populars = st.lists(st.sampled_from(ARTICLES), max_size=12, unique_by=lambda h: h.id).map(
    lambda hits: sorted(hits, key=lambda h: (-h.popularity, -h.published_ms, h.id))
)
excludes = st.frozensets(st.sampled_from([article.id for article in ARTICLES]), max_size=8)
limits = st.integers(0, 25)
