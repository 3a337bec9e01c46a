"""The rules by which places are given, through `fuse`, which makes what they are given to."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from service.records import Run
from service.retrieval.fusion import FusionSettings
from tests.unit.service.retrieval.fakes import hit
from tests.unit.service.retrieval.runs import (
    ARTICLES,
    DEFAULT,
    MERIT,
    excludes,
    fused,
    names,
    run,
    run_sets,
    settings_sets,
)


def test_near_duplicates_share_a_place_with_the_queries_of_both():
    title = "Council votes to reopen the old harbour bridge after long repairs"
    first, second = run("a", title=title), run("x", "b", title=f"Update: {title}")
    candidates = fused(first, replace(second, hits=(hit("x"), second.hits[1])))
    assert names(candidates) == ["a", "x"]
    assert (candidates[0].matched, candidates[0].ranks) == ((0, 1), (1, 2))


def test_a_light_query_gets_a_place_though_scores_alone_would_give_it_none():
    heavy = [run(*[f"{q}{i:02}" for i in range(50)]) for q in "abc"]  # scores from 10 to 5.1
    light = run("z1", "z2", weight=0.1)
    assert "z1" not in names(fused(*heavy, light, limit=100))
    assert "z1" in names(fused(*heavy, light, limit=100, settings=DEFAULT))[:8]


def test_a_query_whose_only_article_is_a_near_duplicate_is_served_by_the_original():
    title = "Council votes to reopen the old harbour bridge after long repairs"
    heavy = run(*[f"a{i}" for i in range(9)])
    heavy = replace(heavy, hits=(*heavy.hits, hit("a9", title=title)))
    candidates = fused(heavy, run("b", title=title, weight=0.1), limit=4, settings=DEFAULT)
    (served,) = [c for c in candidates if 1 in c.matched]
    assert served.hit.id in {"a9", "b"}


def test_a_near_duplicate_is_its_querys_turn_though_the_place_is_of_a_stretch_before():
    title = "Council votes to reopen the old harbour bridge after long repairs"
    heavy = run(*[f"a{i}" for i in range(12)])
    heavy = replace(heavy, hits=(hit("a0", title=title, score=10), *heavy.hits[1:]))
    light = run("b0", "b1", "b2", weight=0.01)
    light = replace(light, hits=(light.hits[0], hit("b1", title=title, score=9.9), light.hits[2]))
    stretch = ceil(2 / DEFAULT.diversity)
    listed = fused(heavy, light, limit=3 * stretch, settings=replace(DEFAULT, category_share=1))
    served = [n // stretch for n, candidate in enumerate(listed) if 1 in candidate.matched]
    assert served == [0, 0, 2], "a0 with its near-duplicate and b0, none, b2"


def test_with_more_queries_than_places_the_best_articles_take_them():
    runs = [run(f"a{i}", weight=1 + i / 10) for i in range(9)]
    assert names(fused(*runs, limit=3, settings=DEFAULT)) == ["a8", "a7", "a6"]


def test_a_category_leaves_room_while_others_have_articles():
    sport = run(*[f"s{i:02}" for i in range(20)], category="sport")
    art = run(*[f"t{i}" for i in range(3)], category="art", weight=0.01)
    settings = replace(MERIT, category_share=0.8)
    listed = fused(sport, art, limit=10, settings=settings)
    assert [c.hit.category for c in listed].count("sport") == 8
    alone = fused(sport, limit=10, settings=settings)
    assert names(alone) == [f"s{i:02}" for i in range(10)]


@given(run_sets, excludes, settings_sets)
def test_room_for_all_leaves_nobody_out_but_near_duplicates(
    runs: list[Run], exclude: frozenset[str], settings: FusionSettings
):
    """Among these articles only those of the same title are near enough."""
    listed = fused(*runs, limit=100, exclude=exclude, settings=settings)
    found = {h.title for r in runs if r.ok for h in r.hits if h.id not in exclude}
    assert sorted(candidate.hit.title for candidate in listed) == sorted(found)


def able(runs: list[Run], gone: frozenset[str]) -> set[int]:
    """The queries that have an article left."""
    return {i for i, r in enumerate(runs) if r.ok and any(h.id not in gone for h in r.hits)}


@given(run_sets, st.integers(1, 25), excludes, settings_sets)
def test_the_first_stretch_of_places_serves_every_query_that_found_anything(
    runs: list[Run], limit: int, exclude: frozenset[str], settings: FusionSettings
):
    queries = able(runs, exclude)
    if not queries or settings.diversity == 0:
        return
    listed = fused(*runs, limit=limit, exclude=exclude, settings=settings)
    first = listed[: ceil(len(queries) / settings.diversity)]
    if len(queries) <= limit:
        assert queries <= {i for candidate in first for i in candidate.matched}


TWINS = frozenset(article.id for article in ARTICLES[23:])
"""Those whose title another one has too."""


@given(run_sets, st.integers(1, 25), excludes, settings_sets)
def test_every_stretch_of_places_serves_every_query_that_has_articles_left(
    runs: list[Run], limit: int, exclude: frozenset[str], settings: FusionSettings
):
    """Of articles all different: a near-duplicate may serve its query from an earlier place."""
    gone = exclude | TWINS
    queries = able(runs, gone)
    if not queries or settings.diversity == 0:
        return
    listed = fused(*runs, limit=limit, exclude=gone, settings=settings)
    length = ceil(len(queries) / settings.diversity)
    for start in range(0, len(listed), length):
        stretch = listed[start : start + length]
        left = able(runs, gone)
        if len(left) <= min(length, limit - start):
            assert left <= {i for candidate in stretch for i in candidate.matched}
        gone |= {candidate.hit.id for candidate in stretch}
