"""Runs in, candidates out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ConfigurationError
from service.records import Candidate, Hit, Query, Run
from service.retrieval.fusion import FusionSettings
from tests.unit.service.retrieval.fakes import hit
from tests.unit.service.retrieval.runs import (
    ARTICLES,
    DEFAULT,
    HOUR,
    MERIT,
    NOW,
    excludes,
    fused,
    hit_lists,
    limits,
    names,
    populars,
    run,
    run_sets,
    settings_sets,
)


def test_the_score_is_the_weighted_sum_of_scores_and_the_best_is_1():
    first, second, third = fused(run("a", "b"), run("c", "b", weight=0.5))
    assert (first.article.id, first.score) == ("b", 1.0)
    assert (first.matched, first.ranks) == ((0, 1), (2, 2))
    assert (second.article.id, second.score) == ("a", pytest.approx(10 / (9.9 + 0.5 * 9.9)))
    assert (third.article.id, third.score) == ("c", pytest.approx(5 / (9.9 + 0.5 * 9.9)))


def test_an_article_that_a_query_found_by_little_stands_behind_one_it_found_by_much():
    far_ahead = Run(Query("q"), (hit("a", score=30.0), hit("b", score=3.0)))
    assert names(fused(far_ahead, run("b", "c"))) == ["a", "b", "c"]


def test_an_article_of_score_nothing_comes_last_and_an_excluded_one_not_at_all():
    hits = (hit("a"), hit("b", score=0.0), hit("c", score=0.0))
    candidates = fused(Run(Query("q"), hits), exclude=frozenset("c"))
    assert [(candidate.article.id, candidate.score) for candidate in candidates] == [
        ("a", 1.0),
        ("b", 0.0),
    ]


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


def test_popularity_is_added_and_is_the_weight_for_the_most_popular_article():
    weight = replace(MERIT, popularity_weight=0.5)
    popular, plain = fused(run("a"), run("b", popularity=50.0), settings=weight)
    assert (popular.article.id, popular.score, plain.score) == ("b", 1.5, 1.0)


def test_popularity_grows_with_the_logarithm_and_falls_with_age():
    listed = [
        hit("most", popularity=99.0, published_ms=NOW),
        hit("old", popularity=99.0, published_ms=NOW - 72 * HOUR),
        hit("some", popularity=9.0, published_ms=NOW),
        hit("none", published_ms=NOW),
    ]
    scores = [candidate.score for candidate in fused(popular=listed)]
    assert scores == [1.0, pytest.approx(0.5), pytest.approx(0.5), 0.0]


def test_an_excluded_article_does_not_set_the_scale_of_popularity():
    alone = fused(run("b", popularity=2.0))
    excluded = hit("a", popularity=1e9)
    beside = fused(run("b", popularity=2.0), exclude=frozenset("a"), popular=[excluded])
    assert names(beside) == ["b"]
    assert beside[0].score == alone[0].score


def test_popular_articles_stand_among_those_that_queries_found():
    popular = [hit("p1", popularity=99.0), hit("p2", popularity=9.0), hit("p3")]
    listed = fused(run("a", "b"), popular=popular, settings=replace(MERIT, popularity_weight=0.995))
    assert names(listed) == ["a", "p1", "b", "p2", "p3"]
    assert [c.origin.value for c in listed] == ["search", "popular", "search", "popular", "popular"]
    assert [c.matched for c in listed] == [(0,), (), (0,), (), ()]


def test_a_popular_article_that_a_query_found_counts_once_as_found():
    both = hit("a", popularity=5.0)
    (first,) = fused(Run(Query("q"), (replace(both, score=7.0),)), popular=[both])
    assert (first.score, first.matched, first.origin.value) == (2.0, (0,), "search")


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_where_popularity_is_unknown_popular_articles_fill_the_list_newest_first(weight: float):
    newest_first = [hit(name, published_ms=NOW - i * HOUR) for i, name in enumerate("yxz")]
    settings = replace(MERIT, popularity_weight=weight)
    assert names(fused(run("a", "b"), popular=newest_first, settings=settings)) == [*"abyxz"]


def test_without_weight_the_popular_fill_the_list_by_their_popularity():
    popular = [hit("old", popularity=50.0, published_ms=NOW - 7200 * HOUR)]
    popular += [hit("new", popularity=40.0, published_ms=NOW), hit("none")]
    settings = replace(MERIT, popularity_weight=0.0)
    assert names(fused(run("a"), popular=popular, settings=settings)) == ["a", "new", "old", "none"]


def test_stories_that_are_read_or_excluded_stay_away_from_the_popular_under_every_id():
    story, other = "Council reopens the old harbour bridge", "Night trains return to the north"
    popular = [
        hit("a", title=story),
        hit("a2", title=f"Reuters: {story}"),
        hit("b", title=other),
        hit("b2", title=f"{other} | BBC News"),
        hit("c"),
    ]
    assert names(fused(popular=popular, exclude=frozenset("b"), read=(story,))) == ["c"]
    assert names(fused(popular=popular)) == ["a", "b", "c"], "each story once"


def test_ties_go_to_the_newer_article_then_to_the_lower_id():
    runs = [run("b"), run("a"), run("c", published_ms=NOW - 72 * HOUR)]
    assert names(fused(*runs)) == ["c", "a", "b"]


@pytest.mark.parametrize(
    "name",
    [
        "popularity_weight",
        "freshness_half_life_h",
        "freshness_weight",
        "diversity",
        "category_share",
        "near_duplicate",
    ],
)
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_constant_out_of_range_is_named(name: str, value: float):
    with pytest.raises(ConfigurationError, match=name):
        FusionSettings(**{name: value})


# --- properties ------------------------------------------------------------------------------


def scored_hits(articles: list[Hit]) -> st.SearchStrategy[list[Hit]]:
    """All of these articles, each with a score of its own."""
    scores = st.lists(st.floats(0.01, 50), min_size=len(articles), max_size=len(articles))
    return scores.map(lambda s: [replace(h, score=x) for h, x in zip(articles, s, strict=True)])


@given(run_sets, limits, excludes, settings_sets)
def test_a_list_is_within_its_limit_without_repeats_or_excluded_articles(
    runs: list[Run], limit: int, exclude: frozenset[str], settings: FusionSettings
):
    candidates = fused(*runs, limit=limit, exclude=exclude, settings=settings)
    ids = names(candidates)
    assert len(ids) <= limit
    assert len(set(ids)) == len(ids)
    assert not exclude & set(ids)
    assert all(candidate.score > 0 for candidate in candidates)


@given(run_sets, limits, excludes, settings_sets, populars)
def test_a_longer_list_begins_with_the_shorter_one(
    runs: list[Run],
    limit: int,
    exclude: frozenset[str],
    settings: FusionSettings,
    popular: list[Hit],
):
    short = fused(*runs, limit=limit, exclude=exclude, settings=settings, popular=popular)
    whole = fused(*runs, limit=100, exclude=exclude, settings=settings, popular=popular)
    assert placing(whole[:limit]) == placing(short)


def placing(candidates: tuple[Candidate, ...]) -> list[tuple[str, float, str]]:
    return [(c.article.id, c.score, c.placed_by) for c in candidates]


@given(run_sets, excludes, settings_sets, populars)
def test_a_candidate_says_so_where_one_with_a_higher_score_comes_after_it(
    runs: list[Run], exclude: frozenset[str], settings: FusionSettings, popular: list[Hit]
):
    listed = fused(*runs, limit=100, exclude=exclude, settings=settings, popular=popular)
    for number, candidate in enumerate(listed):
        before_a_higher = any(later.score > candidate.score for later in listed[number:])
        if before_a_higher:
            assert candidate.placed_by in ("query", "own", "category")
        if settings.diversity == 0 and settings.category_share == 1 and not settings.own_places:
            assert candidate.placed_by == "score"


@given(run_sets, excludes, settings_sets)
def test_the_score_of_an_article_is_its_own_wherever_it_stands(
    runs: list[Run], exclude: frozenset[str], settings: FusionSettings
):
    by_merit = replace(settings, diversity=0, category_share=1, own_places=0)
    merit = fused(*runs, limit=100, exclude=exclude, settings=by_merit)
    own = {candidate.article.title: candidate.score for candidate in merit}
    for candidate in fused(*runs, limit=100, exclude=exclude, settings=settings):
        assert candidate.score <= own[candidate.article.title], "its title's best, or a twin's"


@given(run_sets, limits, excludes, settings_sets)
def test_a_candidate_names_in_order_the_runs_that_found_it_and_none_that_failed(
    runs: list[Run], limit: int, exclude: frozenset[str], settings: FusionSettings
):
    for candidate in fused(*runs, limit=limit, exclude=exclude, settings=settings):
        assert candidate.matched == tuple(sorted(set(candidate.matched)))
        assert all(runs[i].ok for i in candidate.matched)
        found = {runs[i].hits[rank - 1].title for i, rank in places(candidate).items()}
        assert found == {candidate.article.title}, (
            "itself or a near-duplicate, here of the same title"
        )


def places(candidate: Candidate) -> dict[int, int]:
    """The rank in each run that found it."""
    return dict(zip(candidate.matched, candidate.ranks, strict=True))


@given(run_sets, excludes, settings_sets, populars, st.randoms())
def test_the_order_of_the_runs_changes_only_what_matched_refers_to(
    runs: list[Run],
    exclude: frozenset[str],
    settings: FusionSettings,
    popular: list[Hit],
    random,
):
    order = list(range(len(runs)))
    random.shuffle(order)
    shuffled = [runs[i] for i in order]
    before = fused(*runs, exclude=exclude, settings=settings, popular=popular)
    after = fused(*shuffled, exclude=exclude, settings=settings, popular=popular)
    assert [(c.article.id, c.score) for c in before] == [(c.article.id, c.score) for c in after]
    for one, other in zip(before, after, strict=True):
        assert {order[i]: rank for i, rank in places(other).items()} == places(one)


@given(hit_lists, run_sets, st.sampled_from([0.1, 1.0]))
def test_a_second_identical_run_never_lowers_the_articles_of_the_first(
    hits: list[Hit], runs: list[Run], weight: float
):
    settings = replace(MERIT, near_duplicate=1.0, popularity_weight=0)
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
    settings = replace(MERIT, near_duplicate=1.0, popularity_weight=0)
    better = [*hits]
    better[at] = replace(hits[at], score=hits[at].score + more)
    moved = hits[at].id
    other = Run(Query("other"), tuple(ARTICLES[5:20]))
    before = names(fused(Run(Query("q"), tuple(hits)), other, settings=settings))
    after = names(fused(Run(Query("q"), tuple(better)), other, settings=settings))
    if moved in before and moved in after:
        assert after.index(moved) <= before.index(moved)


# --- by words and by meaning -----------------------------------------------------------------


def near_run(*names: str, score: float = 0.8, weight: float = 1.0, **words: float) -> Run:
    """A run by meaning whose nearness falls by 1/100 a rank, and hits by words as given."""
    near = tuple([hit(name, score=score - i / 100) for i, name in enumerate(names)])
    by_words = [hit(name, score=value) for name, value in words.items()]
    by_words.sort(key=lambda one: -one.score)
    return Run(Query("about", weight), tuple(by_words), near=near)


def test_an_article_found_both_ways_goes_before_those_found_one_way():
    assert names(fused(near_run("a", "both", words=1.0, both=9.9, w=10.0)))[0] == "both"


def test_an_article_that_a_query_found_both_ways_counts_once_at_its_better_rank():
    (first, *_) = fused(near_run("a", "both", both=10.0))
    assert (first.article.id, first.matched, first.ranks) == ("both", (0,), (1,))


@pytest.mark.parametrize(("weight", "first"), [(0.0, "w"), (1.0, "n")])
def test_the_weight_of_meaning_decides_between_words_and_nearness(weight: float, first: str):
    settings = replace(MERIT, meaning_weight=weight)
    assert names(fused(near_run("n", w=10.0), settings=settings))[0] == first


def test_where_nothing_is_near_words_alone_are_as_if_there_were_no_meaning():
    by_words = fused(run("a", "b"), run("c", "b", weight=0.5))
    assert [(c.article.id, c.score) for c in by_words] == [
        (c.article.id, c.score)
        for c in fused(replace(run("a", "b"), near=()), run("c", "b", weight=0.5))
    ]


def test_a_query_whose_best_is_poor_stays_poor_beside_a_good_one():
    good, poor = near_run("g1", "g2", score=0.8), near_run("p1", "p2", score=0.1)
    assert names(fused(good, poor)) == ["g1", "g2", "p1", "p2"]


def test_where_nothing_is_near_popular_articles_come_before_what_was_found():
    popular = [hit("p", popularity=9.0)]
    far, close = near_run("errand", score=0.1), near_run("interest", score=0.7)
    settings = replace(MERIT, popularity_weight=0.9)
    assert names(fused(far, popular=popular, settings=settings)) == ["p", "errand"]
    assert names(fused(close, popular=popular, settings=settings)) == ["interest", "p"]


def test_only_what_is_near_enough_is_given_a_place_by_its_query():
    heavy = near_run(*[f"a{i}" for i in range(20)], score=0.9, weight=1.0)
    interest = near_run("b", score=0.5, weight=0.1)
    errand = near_run("c", score=DEFAULT.worth_a_place - 0.01, weight=0.1)
    settings = replace(DEFAULT, category_share=1)
    listed = fused(heavy, interest, errand, settings=settings)
    assert names(listed).index("b") < 4, "of two queries that are worth a place, each has one in 4"
    assert listed[names(listed).index("b")].placed_by == "query"
    assert names(listed)[-1] == "c"


near_sets = st.lists(
    st.builds(
        lambda hits, near, weight: Run(
            Query("q", weight),
            tuple(hits),
            near=tuple(sorted([replace(h, score=h.score / 100) for h in near], key=_score_down)),
        ),
        hit_lists,
        hit_lists,
        st.sampled_from([0.1, 1.0]),
    ),
    max_size=5,
)


def _score_down(one: Hit) -> float:
    return -one.score


@given(near_sets, limits, excludes, settings_sets)
def test_of_runs_by_words_and_meaning_each_article_is_listed_once_and_says_what_found_it(
    runs: list[Run], limit: int, exclude: frozenset[str], settings: FusionSettings
):
    listed = fused(*runs, limit=limit, exclude=exclude, settings=settings)
    assert len(set(names(listed))) == len(listed) <= limit
    whole = fused(*runs, limit=100, exclude=exclude, settings=settings)
    assert placing(whole[:limit]) == placing(listed)
    for candidate in listed:
        assert candidate.matched == tuple(sorted(set(candidate.matched)))
        for i, rank in places(candidate).items():
            held = [*runs[i].hits[rank - 1 : rank], *runs[i].near[rank - 1 : rank]]
            assert candidate.article.title in {one.title for one in held}
