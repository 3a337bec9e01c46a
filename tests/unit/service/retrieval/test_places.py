"""The rules by which places are given, through `fuse`, which makes what they are given to."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from service.records import Hit, Query, Run
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


STORY = "Council votes to reopen the old harbour bridge after long repairs"


def test_a_story_that_the_user_has_read_takes_no_place_under_another_id():
    found = (run("a", title=f"Reuters: {STORY}"), run("x", "b"))
    assert names(fused(*found, read=(STORY,))) == ["x", "b"]
    assert names(fused(*found, read=("Another story of the harbour bridge",))) == ["a", "x", "b"]


def test_a_story_that_is_excluded_takes_no_place_under_another_id():
    found = run("a", "b", title=STORY)
    assert names(fused(found, run("x"), exclude=frozenset({"a"}))) == ["x"]
    assert names(fused(found, run("x"), exclude=frozenset({"x"}))) == ["a"]


def test_a_near_duplicate_of_a_read_story_serves_no_query():
    heavy = run(*[f"a{i}" for i in range(9)])
    light = run("b", "c", weight=0.1)
    light = replace(light, hits=(hit("b", title=STORY, score=10), light.hits[1]))
    listed = fused(heavy, light, limit=4, settings=DEFAULT, read=(STORY,))
    assert [c.article.id for c in listed if 1 in c.matched] == ["c"]


@given(run_sets, excludes, settings_sets, st.sets(st.sampled_from(ARTICLES), max_size=5))
def test_what_is_read_or_excluded_is_not_listed_and_all_else_is(
    runs: list[Run], exclude: frozenset[str], settings: FusionSettings, known: set[Hit]
):
    read = {article.title for article in known}
    listed = fused(*runs, limit=100, exclude=exclude, settings=settings, read=tuple(read))
    found = {h.id: h.title for r in runs if r.ok for h in r.hits}
    gone = read | {title for name, title in found.items() if name in exclude}
    assert sorted(c.article.title for c in listed) == sorted(set(found.values()) - gone)


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
    assert served.article.id in {"a9", "b"}


def test_a_near_duplicate_is_its_querys_turn_though_the_place_is_of_a_stretch_before():
    title = "Council votes to reopen the old harbour bridge after long repairs"
    heavy = run(*[f"a{i}" for i in range(12)])
    heavy = replace(heavy, hits=(hit("a0", title=title, score=10), *heavy.hits[1:]))
    light = run("b0", "b1", "b2", weight=0.01)
    light = replace(light, hits=(light.hits[0], hit("b1", title=title, score=9.9), light.hits[2]))
    settings = replace(DEFAULT, category_share=1, diversity=0.5)
    length = ceil(2 / settings.diversity)
    listed = fused(heavy, light, limit=3 * length, settings=settings)
    served = [n // length for n, candidate in enumerate(listed) if 1 in candidate.matched]
    assert served == [0, 0, 2], "a0 with its near-duplicate and b0, none, b2"


def test_with_more_queries_than_places_the_best_articles_take_them():
    runs = [run(f"a{i}", weight=1 + i / 10) for i in range(9)]
    assert names(fused(*runs, limit=3, settings=DEFAULT)) == ["a8", "a7", "a6"]


def test_a_category_leaves_room_while_others_have_articles():
    sport = run(*[f"s{i:02}" for i in range(20)], category="sport")
    art = run(*[f"t{i}" for i in range(3)], category="art", weight=0.01)
    settings = replace(MERIT, category_share=0.8)
    listed = fused(sport, art, limit=10, settings=settings)
    kinds = [c.article.category for c in listed]
    assert kinds == [*["sport"] * 4, "art", *["sport"] * 4, "art"], "4 of the first 5, 8 of 10"
    assert [c.placed_by for c in listed].count("category") == 2
    alone = fused(sport, limit=10, settings=settings)
    assert names(alone) == [f"s{i:02}" for i in range(10)]


def test_the_first_places_go_by_what_queries_say_and_popularity_counts_from_then_on():
    popular = [hit(f"p{i}", popularity=1e4 - i) for i in range(3)]
    own_first = replace(MERIT, own_places=2, popularity_weight=3)
    listed = fused(run("a", "b", "c"), popular=popular, settings=own_first)
    assert names(listed) == ["a", "b", "p0", "p1", "p2", "c"]
    assert [c.placed_by for c in listed[:3]] == ["own", "own", "score"]
    everywhere = fused(
        run("a", "b", "c"), popular=popular, settings=replace(own_first, own_places=0)
    )
    assert names(everywhere) == ["p0", "p1", "p2", "a", "b", "c"]


def test_the_first_places_are_not_the_users_own_where_nothing_is_near_enough():
    popular = [hit("p", popularity=9.0)]
    far = Run(Query("errand"), (), near=(hit("a", score=DEFAULT.worth_a_place - 0.01),))
    close = replace(far, near=(hit("a", score=DEFAULT.worth_a_place),))
    assert names(fused(far, popular=popular, settings=DEFAULT)) == ["p", "a"]
    assert names(fused(close, popular=popular, settings=DEFAULT)) == ["a", "p"]


def test_the_roof_of_a_category_holds_in_the_first_places_too():
    sport = run(*[f"s{i}" for i in range(9)], category="sport")
    popular = [hit(f"p{i}", popularity=9.0, category="art") for i in range(2)]
    settings = replace(MERIT, own_places=10, category_share=0.5)
    kinds = [c.article.category for c in fused(sport, popular=popular, settings=settings)]
    assert kinds[:4] == ["sport", "art", "sport", "art"], "half of the places while there is art"


def able(runs: list[Run], gone: frozenset[str]) -> set[int]:
    """The queries that have an article left, under no title that is gone."""
    titles = {h.title for r in runs if r.ok for h in r.hits if h.id in gone}
    return {
        i
        for i, r in enumerate(runs)
        if r.ok and any(h.id not in gone and h.title not in titles for h in r.hits)
    }


def stretch(runs: list[Run], gone: frozenset[str], settings: FusionSettings) -> int:
    """Places in which each query that found an article gets one."""
    queries = sum(r.ok and any(h.id not in gone for h in r.hits) for r in runs)
    return ceil(queries / settings.diversity)


@given(run_sets, st.integers(1, 25), excludes, settings_sets)
def test_the_first_stretch_of_places_serves_every_query_that_found_anything(
    runs: list[Run], limit: int, exclude: frozenset[str], settings: FusionSettings
):
    queries = able(runs, exclude)
    if not queries or settings.diversity == 0:
        return
    listed = fused(*runs, limit=limit, exclude=exclude, settings=settings)
    length = stretch(runs, exclude, settings)
    first = listed[:length]
    if length <= limit:
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
    length = stretch(runs, gone, settings)
    for start in range(0, len(listed), length):
        part = listed[start : start + length]
        if length <= limit - start:
            assert able(runs, gone) <= {i for candidate in part for i in candidate.matched}
        gone |= {candidate.article.id for candidate in part}
