"""An evaluation set is searched and ranked as the service does it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.evaluation.bench import Bench, reciprocal_ranks
from tests.unit.models.builders import queries, reader, signal, small_set, stories

ANNA = reader("anna", "ferry", signal("chess champion", 0), signal("crossing a fjord", 1))
BEN = reader("ben", "bread", signal("loaf tin", 0, "purchase"))


def test_what_was_clicked_before_is_no_candidate() -> None:
    known = signal("Battery ferry crosses the fjord", 0, "news", "ferry-1")
    user = reader("u", "ferry", known)
    with Bench(small_set(user)) as bench:
        assert "ferry-1" not in bench.rank(user, queries("ferry")).ids
        assert "ferry-1" not in bench.popular(user).ids
        assert "ferry-1" not in bench.recent(user).ids


def test_popularity_and_recency_rank_the_articles_themselves() -> None:
    with Bench(small_set(ANNA)) as bench:
        assert {id_[-2:] for id_ in bench.popular(ANNA).ids[:3]} == {"+2"}
        assert {id_[-2:] for id_ in bench.recent(ANNA).ids[-3:]} == {"-2"}


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


def test_the_stories_are_what_these_tests_take_them_for() -> None:
    assert len({article.id for article in stories()}) == 12
