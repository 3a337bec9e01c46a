"""From numbers to words: what makes the others meaningless stands before them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.verdict.measured import GUARDRAILS, Metric
from models.verdict.statistics import Effect
from models.verdict.verdict import Guard, Word, guard, verdict

NONE = Effect(0.1, 0.1, 0.0, -0.02, 0.02, 1.0, 0.01)
UP = replace(NONE, change=0.03, low=0.01, high=0.05, p_value=0.001)
DOWN = replace(NONE, change=-0.03, low=-0.05, high=-0.01, p_value=0.001)
FINE = (1.0, 0.4)


@pytest.mark.parametrize(
    ("primary", "word"),
    [(UP, Word.BETTER), (DOWN, Word.WORSE), (NONE, Word.NOTHING_YET), (None, Word.NOTHING_YET)],
)
def test_the_interval_of_the_click_through_says_the_word(
    primary: Effect | None, word: Word
) -> None:
    assert verdict(primary, {}, FINE).word is word


def test_a_breached_guardrail_stands_before_a_better_click_through() -> None:
    said = verdict(UP, {"latency": Guard.BREACHED, "slow": Guard.OPEN}, FINE)
    assert said.word is Word.BREACHED
    assert "Mean time of an answer" in said.reasons[0]
    assert "slow" not in said.reasons[0]
    assert "+3.0%" in said.reasons[1]


def test_a_broken_sample_ratio_stands_before_everything() -> None:
    said = verdict(UP, {"latency": Guard.BREACHED}, (1.0, 0.001, 0.0001))
    assert said.word is Word.BROKEN
    assert "first seen at look 2" in said.reasons[0]
    assert "%" not in said.reasons[0], "no number that could be taken for a result"


def test_an_unchecked_sample_ratio_breaks_nothing() -> None:
    assert verdict(UP, {}, ()).word is Word.BETTER


@pytest.mark.parametrize("metric", GUARDRAILS, ids=lambda metric: metric.name)
@given(st.floats(-0.5, 0.5), st.floats(0.0001, 0.3))
def test_a_guardrail_is_breached_beyond_what_is_borne_and_holds_within_it(
    metric: Metric, change: float, half: float
) -> None:
    one = replace(NONE, change=change, low=change - half, high=change + half)
    assert metric.tolerance is not None
    worse = change if metric.better == "lower" else -change
    state = guard(metric, one)
    assert (state is Guard.BREACHED) is (worse - half > metric.tolerance)
    assert (state is Guard.HOLDS) is (worse + half <= metric.tolerance)


def test_a_guardrail_of_which_nothing_was_seen_is_not_known() -> None:
    assert guard(GUARDRAILS[0], None) is Guard.OPEN
