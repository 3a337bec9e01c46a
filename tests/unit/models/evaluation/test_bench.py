"""An evaluation set is searched and ranked as the service does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from models.evaluation.bench import Bench, SearchedBy
from models.evaluation.sets import PrintedAfter
from service.encoding.onnx import OnnxModel
from service.records import Vectors
from tests.unit.models.builders import DAY_MS, NOW_MS, queries, reader, signal, small_set, stories

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
    assert set(beside.ids) == {*alone.ids, *most}
    assert set(alone.ids) < set(beside.ids)


def test_popularity_counts_only_beside_popular_articles() -> None:
    popular = tuple(replace(article, popularity=9.0) for article in stories())
    with (
        Bench(small_set(ANNA)) as bench,
        Bench(replace(small_set(ANNA), articles=popular)) as loved,
    ):
        plain = bench.rank(ANNA, queries("sourdough"))
        assert loved.rank(ANNA, queries("sourdough")).ids == plain.ids


def test_clicks_before_the_moment_are_the_popularity_then() -> None:
    with Bench(small_set(ANNA)) as bench:
        found = bench.rank(ANNA, queries("sourdough")).ids
        last = replace(ANNA, popular={found[-1]: 9.0})
        scored = bench.rank(last, queries("sourdough"), popular=True, scored=True)
    assert max(scored.scores, key=lambda id_: scored.scores[id_]) == found[-1]


class Meanings:
    """A model for which every text about sourdough is near to a croissant, and nothing else is."""

    manifest = SimpleNamespace(key="meanings@1", unrelated=0.1, dimension=2)

    def encode(self, texts: Sequence[str], role: str) -> Vectors:
        bread = [any(word in text.lower() for word in ("sourdough", "croissant")) for text in texts]
        return np.array([[1, 0] if one else [0, 1] for one in bread], np.float32)


def test_with_an_encoder_articles_are_found_that_share_no_word_with_the_query() -> None:
    known: list[int] = []
    with Bench(small_set(BEN)) as bench:
        assert bench.rank(BEN, queries("croissant")).ids == ()
    model = cast(OnnxModel, Meanings())
    with Bench(small_set(BEN), encoder=model, progress=known.append) as bench:
        found = bench.rank(BEN, queries("croissant")).ids
        titles = {article.id: article.title for article in bench.data.articles}
        assert found
        assert all("sourdough" in titles[id_].lower() for id_ in found)
        live = frozenset(found[:1])
        assert (
            bench.rank(replace(BEN, id="other", live=live), queries("croissant")).ids == found[:1]
        )
        assert sum(known) == len(bench.data.articles)


def test_what_was_printed_after_a_moment_is_searched_as_if_each_article_were_asked_for() -> None:
    model = cast(OnnxModel, Meanings())
    later = frozenset(one.id for one in stories() if one.published_ms > NOW_MS + DAY_MS)
    with Bench(small_set(BEN), encoder=model, hits=2) as bench:
        for live in (PrintedAfter(NOW_MS + DAY_MS, later), later):
            user = replace(BEN, id=str(type(live)), live=live)
            found = bench.rank(user, queries("croissant ferry"))
            assert set(found.ids) == {"bread+2", "ferry+2"}
            assert set(bench.recent(user).ids) == later


def test_what_is_ranked_is_found_by_the_searches_that_are_asked_for() -> None:
    model = cast(OnnxModel, Meanings())
    with Bench(small_set(BEN), encoder=model) as bench:
        by: dict[SearchedBy, set[str]] = {}
        for kind in ("words", "meaning", "both"):
            bench.searched_by = kind
            by[kind] = {id_[:5] for id_ in bench.rank(BEN, queries("croissant ferry")).ids}
    assert by == {"words": {"ferry"}, "meaning": {"bread"}, "both": {"ferry", "bread"}}


def test_a_bench_goes_on_with_other_users_of_its_articles_and_with_no_others() -> None:
    with Bench(small_set(ANNA)) as bench, Bench(small_set(BEN)) as fresh:
        bench.rank(ANNA, queries("ferry"))
        bench.turn_to(small_set(BEN))
        assert bench.data.users == (BEN,)
        assert bench.rank(BEN, queries("ferry")).ids == fresh.rank(BEN, queries("ferry")).ids
        fewer = replace(small_set(ANNA), articles=stories()[1:])
        with pytest.raises(ValueError, match="other articles"):
            bench.turn_to(fewer)


def test_the_stories_are_what_these_tests_take_them_for() -> None:
    assert len({article.id for article in stories()}) == 12
