"""Which articles are judged."""

from __future__ import annotations

from models.people.pooling import pool
from tests.unit.models.people.builders import judgement

ONE = {"ada": ["a", "b", "c"], "bo": ["x"]}
OTHER = {"ada": ["c", "d", "e"], "bo": []}


def test_the_first_of_every_system_are_judged_once() -> None:
    found = pool([ONE, OTHER], most=2)
    assert {person: sorted(ids) for person, ids in found.items()} == {
        "ada": ["a", "b", "c", "d"],
        "bo": ["x"],
    }


def test_what_was_judged_is_left_out_and_whoever_is_done_with_it() -> None:
    judged = [judgement("ada", "a", 0), judgement("bo", "x", 2)]
    assert sorted(pool([ONE, OTHER], judged)["ada"]) == ["b", "c", "d", "e"]
    assert "bo" not in pool([ONE, OTHER], judged)


def test_the_order_tells_nothing_of_who_found_what_or_how_high() -> None:
    many = [f"article-{n}" for n in range(30)]
    first = pool([{"ada": many}])["ada"]
    assert first == pool([{"ada": many[::-1]}])["ada"]
    assert first not in (many, sorted(many))
    assert first != pool([{"bo": many}])["bo"]
