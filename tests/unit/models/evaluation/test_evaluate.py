"""Lists are searched, merged and measured as they are served."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.evaluation.bench import Bench, reciprocal_ranks
from models.evaluation.evaluate import (
    BASELINES,
    as_many,
    evaluate,
    evaluate_baselines,
    evaluate_lists,
    own_as_many,
)
from models.evaluation.sets import simulated_set
from models.simulation.signal_texts import MIXES
from service.errors import InvalidInput
from tests.unit.models.builders import (
    queries,
    reader,
    signal,
    small_set,
    small_world,
    stories,
)

ANNA = reader("anna", "ferry", signal("chess champion", 0), signal("crossing a fjord", 1))
BEN = reader("ben", "bread", signal("loaf tin", 0, "purchase"))


def test_a_list_that_finds_the_later_articles_has_a_recall_of_one() -> None:
    with Bench(small_set(ANNA, BEN)) as bench:
        found = evaluate_lists(bench, {"anna": queries("battery ferry"), "ben": queries("chess")})
    assert found["L"]["recall@50"].tolist() == [1.0, 0.0]
    assert found["L"]["ndcg@50"][0] > 0.5


def test_beside_the_own_signals_a_list_that_finds_nothing_is_as_good_as_they_are() -> None:
    data = small_set(ANNA, BEN)
    with Bench(data) as bench:
        found = evaluate_lists(bench, {"anna": queries("zeppelin")})
        systems, _ = evaluate_baselines(bench)
    assert found["L"]["recall@50"].tolist() == [0.0, 0.0]
    own = next(one for one in systems if one.name == "own signals")
    for measure, values in own.measured.items():
        np.testing.assert_array_equal(found["S"][measure], values)


def test_own_signals_without_weight_leave_the_list_alone() -> None:
    data = small_set(ANNA, BEN)
    with Bench(data, own_weight=0.0) as bench:
        found = evaluate_lists(bench, {"anna": queries("loaf")})
    for measure, values in found["L"].items():
        np.testing.assert_array_equal(found["S"][measure], values)


def test_a_user_without_a_list_gets_nothing_alone() -> None:
    with Bench(small_set(ANNA)) as bench:
        assert evaluate_lists(bench, {})["L"]["recall@100"].tolist() == [0.0]


def test_only_eight_queries_of_a_list_count() -> None:
    with Bench(small_set(ANNA)) as bench:
        late = {"anna": queries(*["zeppelin"] * 8, "battery ferry")}
        assert evaluate_lists(bench, late)["L"]["recall@50"].tolist() == [0.0]


def test_lists_of_somebody_else_are_refused() -> None:
    with Bench(small_set(ANNA)) as bench, pytest.raises(InvalidInput, match="'eve' is no user"):
        evaluate_lists(bench, {"eve": queries("ferry")})


def test_what_was_clicked_before_is_no_candidate() -> None:
    known = signal("Battery ferry crosses the fjord", 0, "news", "ferry-1")
    user = reader("u", "ferry", known)
    with Bench(small_set(user)) as bench:
        assert "ferry-1" not in bench.rank(user, queries("ferry")).ids
        assert "ferry-1" not in bench.popular(user).ids
        assert "ferry-1" not in bench.recent(user).ids


def test_popularity_and_recency_rank_the_articles_themselves() -> None:
    with Bench(small_set(ANNA)) as bench:
        assert {one[-2:] for one in bench.popular(ANNA).ids[:3]} == {"+2"}
        assert {one[-2:] for one in bench.recent(ANNA).ids[-3:]} == {"-2"}


def test_only_live_articles_are_found_however_deep_they_lie() -> None:
    late = frozenset({"ferry-2"})
    user = replace(ANNA, live=late, relevant=late)
    with Bench(small_set(user), hits=1) as bench:
        assert bench.rank(user, queries("battery ferry")).ids == ("ferry-2",)
        assert bench.shallow == 0


def test_a_text_longer_than_a_search_reads_is_searched_to_its_end() -> None:
    long = " ".join(["zeppelin"] * 200) + " sourdough"
    with Bench(small_set(BEN)) as bench:
        assert set(bench.rank(BEN, queries(long)).ids) == set(
            bench.rank(BEN, queries("sourdough")).ids
        )


def test_every_baseline_is_measured_for_every_user() -> None:
    steps: dict[str, int] = {}

    def stage(what: str, total: int) -> object:
        steps[what] = -total

        def tell(done: int) -> None:
            steps[what] += done

        return tell

    done = evaluate(small_set(ANNA, BEN), {"mine": {"anna": queries("ferry")}}, stage)  # type: ignore[arg-type]
    cut = {"tf-idf, as many as mine", "own signals, as many as mine (S)"}
    assert {one.name for one in done.systems} == {*BASELINES, "mine", *cut}
    assert all(len(values) == 2 for one in done.systems for values in one.measured.values())
    assert [one.reading for one in done.systems if one.student] == ["L", "S"]
    assert set(steps) == {"articles indexed", "baselines", "mine"}
    assert set(steps.values()) == {0}


def test_a_baseline_cut_to_a_list_has_as_many_queries_as_each_user_s_list() -> None:
    phrases = {"anna": queries("fjord", "crossing", "chess"), "ben": queries("loaf", "tin")}
    cut = as_many(phrases, {"anna": queries("ferry", "battery")})
    assert cut == {"anna": queries("fjord", "crossing"), "ben": ()}


def test_own_signals_can_be_as_many_as_are_searched_beside_a_list() -> None:
    said = [signal(f"zeppelin{n} hangar{n}", n) for n in range(20)]
    user = reader("u", "ferry", *said)
    with Bench(small_set(user)) as bench:
        for lists, searched in (({}, 12), ({"u": queries("battery ferry", said[0].text)}, 14)):
            own = own_as_many(bench, lists)["u"]
            assert [one.signals for one in own] == [(one.id,) for one in said[::-1][:searched]]


def test_beside_popular_articles_a_list_finds_them_too() -> None:
    with Bench(small_set(ANNA)) as bench:
        alone = bench.rank(ANNA, queries("sourdough"))
        beside = bench.rank(ANNA, queries("sourdough"), popular=True)
        most = bench.popular(ANNA).ids
    assert set(beside.ids) == {*alone.ids, *most[: bench.hits]}
    assert set(alone.ids) < set(beside.ids)


def test_rankings_of_different_kinds_are_merged_by_their_ranks() -> None:
    merged = reciprocal_ranks(["a", "b"], ["c", "b"])
    assert list(merged) == ["b", "a", "c"]
    assert merged["b"] == pytest.approx(2 / 62)


def test_the_same_set_gives_the_same_figures() -> None:
    first, again = (evaluate(small_set(ANNA, BEN), {}) for _ in range(2))
    for one, other in zip(first.systems, again.systems, strict=True):
        assert {k: v.tolist() for k, v in one.measured.items()} == {
            k: v.tolist() for k, v in other.measured.items()
        }


def test_simulated_users_click_articles_of_the_index_that_come_after_their_now() -> None:
    data = simulated_set(small_world(), "test", MIXES["hard"], 5)
    published = {one.id: one.published_ms for one in data.articles}
    assert len(data.users) == 5
    assert data.now_ms == max(published.values())
    for user in data.users:
        assert all(published[one] > user.now_ms for one in user.relevant)
        assert all(one.at_ms <= user.now_ms for one in user.signals)
        assert user.exclude == {one.item for one in user.signals if one.item}


def test_a_set_states_how_many_words_its_signals_share_with_later_clicks() -> None:
    hard, easy = (simulated_set(small_world(), "test", MIXES[mix], 40) for mix in ("hard", "easy"))
    assert hard.about["sharing_two_but_news"] == 0
    assert 0 < easy.about["sharing_two_but_news"] <= easy.about["sharing_one"] <= 1  # type: ignore[operator]


def test_no_simulated_user_is_too_few() -> None:
    with pytest.raises(InvalidInput) as error:
        simulated_set(small_world(), "test", MIXES["hard"], 0)
    assert error.value.field == "--users"


def test_the_stories_are_what_these_tests_take_them_for() -> None:
    assert len({one.id for one in stories()}) == 12
