"""What each reward is for: which of two lists gets more of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.rewards.records import Outcome
from models.rewards.terms import (
    REWARDS,
    beyond,
    brevity,
    coverage,
    diversity,
    form,
    grounding,
    relevance,
    specificity,
)
from tests.unit.models.rewards.builders import outcome, target

NOTHING_GRADED = target({}, {})


def test_relevance_is_higher_for_better_graded_articles_further_up() -> None:
    best = relevance(target(), outcome("ferry", ranked=("f1", "c1", "f2")))
    late = relevance(target(), outcome("ferry", ranked=("x", "f2", "f1")))
    assert best == pytest.approx(1.0)
    assert late is not None
    assert best > late > 0


def test_coverage_counts_interests_not_articles() -> None:
    one = coverage(target(), outcome("ferry", ranked=("f1", "f2")))
    both = coverage(target(), outcome("ferry", ranked=("f2", "c1")))
    assert (one, both) == (0.5, 1.0)


def test_coverage_ends_where_the_page_ends() -> None:
    ranked = tuple(f"x{i}" for i in range(20))
    assert coverage(target(), outcome("ferry", ranked=(*ranked, "f1"))) == 0.0


def test_diversity_is_lost_by_a_second_query_for_the_same_articles() -> None:
    same = diversity(target(), outcome("a", "b", found=(("f1", "f2"), ("f2", "f1"))))
    other = diversity(target(), outcome("a", "b", found=(("f1", "f2"), ("c1", "c2"))))
    assert (same, other) == (0.0, 1.0)


def test_a_query_that_finds_nothing_is_no_way_to_be_diverse_alone() -> None:
    assert diversity(target(), outcome("a", found=(("f1",),))) is None
    assert diversity(target(), outcome("a", "b", found=(("f1",), ()))) == 1.0
    assert specificity(target(), outcome("a", "b", drop=(0.8, 0.0))) == 0.4


def test_what_own_words_find_is_not_beyond_them() -> None:
    olga = target(own=("f1",))
    repeated = beyond(olga, outcome("harbour", ranked=("f1", "x", "y")))
    new = beyond(olga, outcome("fjord", ranked=("f1", "c1", "f2")))
    assert repeated == 0.0
    assert new == 1.0


def test_grounding_is_lost_by_a_query_out_of_an_errand_and_by_one_out_of_air() -> None:
    sound = ((0, 0.6),)
    assert grounding(target(), outcome("a", nearest=sound)) == 1.0
    assert grounding(target(), outcome("a", "b", nearest=(*sound, (1, 0.6)))) == 0.5
    assert grounding(target(), outcome("a", "b", nearest=(*sound, (0, 0.05)))) == 0.5


def test_form_is_lost_by_prose_decoration_repetition_and_an_answer_that_was_cut() -> None:
    clean = form(target(), outcome("fjord ferries", "chess final"))
    prose = form(
        target(), outcome("fjord ferries", text="Sure, here are your queries:\n1. fjord ferries")
    )
    again = form(target(), outcome("fjord ferries", text="fjord ferries\nferries fjord"))
    cut = form(target(), outcome("fjord ferries", finished=False))
    assert (clean, prose, again, cut) == (1.0, 0.0, 0.5, 0.5)


def test_brevity_is_lost_by_one_word_by_a_sentence_and_by_more_queries_than_interests() -> None:
    assert brevity(target(), outcome("fjord ferries", "chess final")) == 1.0
    assert brevity(target(), outcome("ferries")) == 0.0
    assert brevity(target(), outcome(" ".join("abcdefghi"))) == 0.0
    assert brevity(target(), outcome("a b", "c d", "e f", "g h")) == 0.5


@pytest.mark.parametrize("name", ["relevance", "coverage", "beyond", "diversity", "grounding"])
def test_what_cannot_be_told_is_no_zero(name: str) -> None:
    alone = outcome("ferry", ranked=("f1",), found=(("f1",),))
    assert REWARDS[name].term(NOTHING_GRADED, alone) is None


@pytest.mark.parametrize("reward", REWARDS.values(), ids=REWARDS)
def test_every_reward_says_what_it_is(reward: object) -> None:
    assert getattr(reward, "reason", "").endswith(".")


ids = st.sampled_from(["f1", "f2", "c1", "x", "y"])
lines = st.text("ab c", min_size=1, max_size=30).map(str.strip).filter(bool)


@st.composite
def outcomes(draw: st.DrawFn) -> Outcome:
    queries = draw(st.lists(lines, min_size=1, max_size=8))
    each = st.lists(ids, unique=True, max_size=5)
    share = st.floats(0, 1)
    return outcome(
        *queries,
        ranked=draw(st.lists(ids, unique=True)),
        found=[draw(each) for _ in queries],
        drop=[draw(share) for _ in queries],
        nearest=[(draw(st.integers(0, 1)), draw(share)) for _ in queries],
        finished=draw(st.booleans()),
    )


@given(outcomes(), st.lists(ids, unique=True))
def test_every_reward_is_between_0_and_1(found: Outcome, own: list[str]) -> None:
    for reward in REWARDS.values():
        value = reward.term(target(own=own), found)
        assert value is None or 0 <= value <= 1
