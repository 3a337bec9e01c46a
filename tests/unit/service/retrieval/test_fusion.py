"""Runs in, candidates out."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ConfigurationError
from service.records import Candidate, Hit, Query, Run
from service.retrieval.fusion import FusionSettings, fuse
from tests.unit.service.retrieval.fakes import hit

NOW = 1_800_000_000_000
HOUR = 3_600_000
DEFAULT = FusionSettings()
MERIT = FusionSettings(diversity=0, category_share=1)
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
) -> tuple[Candidate, ...]:
    return fuse(runs, limit=limit, now_ms=NOW, exclude=exclude, settings=settings)


def names(candidates: tuple[Candidate, ...]) -> list[str]:
    return [candidate.hit.id for candidate in candidates]


def test_the_score_is_the_weighted_sum_of_scores():
    first = fused(run("a", "b"), run("c", "b", weight=0.5))[0]
    assert first.hit.id == "b"
    assert first.score == pytest.approx(9.9 + 0.5 * 9.9)
    assert (first.matched, first.ranks) == ((0, 1), (2, 2))


def test_an_article_that_a_query_found_by_little_stands_behind_one_it_found_by_much():
    far_ahead = Run(Query("q"), (hit("a", score=30.0), hit("b", score=3.0)))
    assert names(fused(far_ahead, run("b", "c"))) == ["a", "b", "c"]


def test_an_article_of_score_nothing_comes_last_and_an_excluded_one_not_at_all():
    hits = (hit("a"), hit("b", score=0.0), hit("c", score=0.0))
    candidates = fused(Run(Query("q"), hits), exclude=frozenset("c"))
    assert [(one.hit.id, one.score) for one in candidates] == [("a", 1.0), ("b", 0.0)]


def test_failed_runs_and_runs_without_weight_are_passed_over():
    candidates = fused(run("a", ok=False), run("b", weight=0), run("c"))
    assert names(candidates) == ["c"]
    assert candidates[0].matched == (2,)


def test_nothing_in_gives_nothing_out():
    assert fused() == ()
    assert fused(run()) == ()
    assert fused(run("a"), limit=0) == ()
    assert fused(run("a"), exclude=frozenset("a")) == ()


def test_a_fresh_article_goes_before_an_old_one_of_the_same_rank():
    old, new = run("a", published_ms=NOW - 900 * HOUR), run("b", published_ms=NOW)
    assert names(fused(old, new)) == ["b", "a"]


def test_an_unknown_date_counts_as_one_half_life():
    unknown, dated = fused(run("a"), run("b", published_ms=NOW - 72 * HOUR))
    assert unknown.score == pytest.approx(dated.score)


def test_a_date_in_the_future_counts_as_now():
    soon, now = fused(run("a", published_ms=NOW + 9 * HOUR), run("b", published_ms=NOW))
    assert soon.score == now.score


def test_a_popular_article_gains_at_most_its_weight():
    popular, plain = fused(run("a"), run("b", popularity=50.0))
    assert popular.hit.id == "b"
    assert popular.score == pytest.approx(1.1 * plain.score)


def test_an_excluded_article_does_not_set_the_scale_of_popularity():
    alone = fused(run("b", popularity=2.0))
    beside = fused(run("b", popularity=2.0), run("a", popularity=1e9), exclude=frozenset("a"))
    assert beside[0].score == alone[0].score


def test_ties_go_to_the_newer_article_then_to_the_lower_id():
    runs = [run("b"), run("a"), run("c", published_ms=NOW - 72 * HOUR)]
    assert names(fused(*runs)) == ["c", "a", "b"]


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


@pytest.mark.parametrize(
    "name",
    [
        "popularity_weight",
        "freshness_half_life_h",
        "freshness_weight",
        "diversity",
        "near_duplicate",
    ],
)
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_constant_out_of_range_is_named(name: str, value: float):
    with pytest.raises(ConfigurationError, match=name):
        FusionSettings(**{name: value})


# --- properties ------------------------------------------------------------------------------

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


def scored_hits(articles: list[Hit]) -> st.SearchStrategy[list[Hit]]:
    """All of these articles, each with a score of its own."""
    scores = st.lists(st.floats(0.01, 50), min_size=len(articles), max_size=len(articles))
    return scores.map(lambda s: [replace(h, score=x) for h, x in zip(articles, s, strict=True)])


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
    category_share=st.sampled_from([0.3, 0.8, 1.0]),
    near_duplicate=st.sampled_from([0.5, 0.7, 1.0]),
)
excludes = st.frozensets(st.sampled_from([article.id for article in ARTICLES]), max_size=8)
limits = st.integers(0, 25)


@given(run_sets, limits, excludes, settings_sets)
def test_the_list_keeps_its_promises(
    runs: list[Run], limit: int, exclude: frozenset[str], settings: FusionSettings
):
    candidates = fused(*runs, limit=limit, exclude=exclude, settings=settings)
    ids = names(candidates)
    assert len(ids) <= limit
    assert len(set(ids)) == len(ids)
    assert not exclude & set(ids)
    scores = [candidate.score for candidate in candidates]
    assert scores == sorted(scores, reverse=True)
    assert all(score > 0 for score in scores)
    for candidate in candidates:
        assert candidate.matched == tuple(sorted(set(candidate.matched)))
        titles = {runs[i].hits[r - 1].title for i, r in zip(*places(candidate), strict=True)}
        assert candidate.hit.title in titles
        assert all(runs[i].ok for i in candidate.matched)


def places(candidate: Candidate) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return candidate.matched, candidate.ranks


@given(run_sets, excludes, settings_sets)
def test_room_for_all_leaves_nobody_out_but_near_duplicates(
    runs: list[Run], exclude: frozenset[str], settings: FusionSettings
):
    listed = fused(*runs, limit=100, exclude=exclude, settings=settings)
    found = {h.id: h.title for r in runs if r.ok for h in r.hits if h.id not in exclude}
    titles = {candidate.hit.title for candidate in listed}
    assert set(found.values()) >= titles
    if settings.near_duplicate == 1.0:
        assert set(found.values()) == titles


@given(run_sets, limits, excludes, settings_sets, st.randoms())
def test_the_order_of_the_runs_changes_only_what_matched_refers_to(
    runs: list[Run], limit: int, exclude: frozenset[str], settings: FusionSettings, random
):
    order = list(range(len(runs)))
    random.shuffle(order)
    before = fused(*runs, limit=limit, exclude=exclude, settings=settings)
    after = fused(*[runs[i] for i in order], limit=limit, exclude=exclude, settings=settings)
    assert [(c.hit.id, c.score) for c in before] == [(c.hit.id, c.score) for c in after]
    for one, other in zip(before, after, strict=True):
        found = dict(zip((order[i] for i in other.matched), other.ranks, strict=True))
        assert found == dict(zip(*places(one), strict=True))


@given(run_sets, st.integers(1, 25), excludes, settings_sets)
def test_every_stretch_of_places_serves_every_query_that_has_articles_left(
    runs: list[Run], limit: int, exclude: frozenset[str], settings: FusionSettings
):
    able = {i for i, r in enumerate(runs) if r.ok and any(h.id not in exclude for h in r.hits)}
    if not able or settings.diversity == 0:
        return
    listed = fused(*runs, limit=limit, exclude=exclude, settings=settings)
    first = listed[: ceil(len(able) / settings.diversity)]
    if len(able) <= limit:
        assert able <= {i for candidate in first for i in candidate.matched}


@given(hit_lists, run_sets, st.sampled_from([0.1, 1.0]))
def test_a_second_identical_run_never_lowers_the_articles_of_the_first(
    hits: list[Hit], runs: list[Run], weight: float
):
    settings = replace(MERIT, near_duplicate=1.0)
    unique = [h for i, h in enumerate(hits) if h.title not in {o.title for o in hits[:i]}]
    mine = Run(Query("mine", weight), tuple(unique))
    before = names(fused(mine, *runs, settings=settings))
    after = names(fused(mine, *runs, mine, settings=settings))
    others = {h.id for r in runs if r.ok for h in r.hits} - {h.id for h in unique}
    for article in {h.id for h in unique} & set(before) & set(after):
        ahead_before = set(before[: before.index(article)]) & others
        ahead_after = set(after[: after.index(article)]) & others & set(before)
        assert ahead_after <= ahead_before


@given(scored_hits(ARTICLES[:12]), st.integers(0, 11), st.floats(0, 50))
def test_a_better_score_never_lowers_an_article(hits: list[Hit], at: int, more: float):
    settings = replace(MERIT, near_duplicate=1.0)
    better = [*hits]
    better[at] = replace(hits[at], score=hits[at].score + more)
    moved = hits[at].id
    other = Run(Query("other"), tuple(ARTICLES[5:20]))
    before = names(fused(Run(Query("q"), tuple(hits)), other, settings=settings))
    after = names(fused(Run(Query("q"), tuple(better)), other, settings=settings))
    if moved in before and moved in after:
        assert after.index(moved) <= before.index(moved)
