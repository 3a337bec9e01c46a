"""Less is spent on each request before any is refused, and never back and forth."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.overload.saving import GAP, Saving, Step, own_signals, smoothed

pressures = st.floats(0, 1)
steps = st.sampled_from(Step)


@st.composite
def rules(draw: st.DrawFn) -> Saving:
    return Saving(draw(st.floats(0, 2)), draw(st.floats(0, 2)))


@given(rules(), pressures, pressures, steps)
def test_more_pressure_never_saves_less(
    rule: Saving, one: float, other: float, before: Step
) -> None:
    low, high = sorted((one, other))
    assert rule.step(low, before) <= rule.step(high, before)


@given(rules(), pressures, steps, steps)
def test_who_saved_more_before_never_saves_less(
    rule: Saving, pressure: float, one: Step, other: Step
) -> None:
    low, high = sorted((one, other))
    assert rule.step(pressure, low) <= rule.step(pressure, high)


@given(rules(), pressures, st.floats(0, 0.99 * GAP))
def test_a_step_that_was_begun_lasts_until_the_pressure_has_fallen_by_the_gap(
    rule: Saving, pressure: float, less: float
) -> None:
    begun = rule.step(pressure, Step.NOTHING)
    assert rule.step(pressure - less, begun) == begun


@given(rules(), pressures, steps)
def test_what_was_decided_holds_while_the_pressure_does(
    rule: Saving, pressure: float, before: Step
) -> None:
    there = rule.step(pressure, before)
    assert rule.step(pressure, there) == there


def test_samples_are_saved_first_then_own_signals_and_all_before_the_room_is_full() -> None:
    rule = Saving(samples_from=0.7, queries_from=0.85)
    seen = [rule.step(share / 100, Step.NOTHING) for share in range(101)]
    assert list(dict.fromkeys(seen)) == list(Step)
    assert (seen[69], seen[70], seen[85], seen[93]) == tuple(Step)


def test_above_one_nothing_is_saved() -> None:
    assert Saving(2, 2).step(1.0, Step.NOTHING) is Step.NOTHING
    assert Saving(0.7, 2).step(1.0, Step.NOTHING) is Step.SAMPLES


@given(steps, st.integers(0, 64))
def test_a_later_step_never_searches_more_of_the_own_signals(step: Step, usual: int) -> None:
    searched = [own_signals(one, usual) for one in Step]
    assert searched == sorted(searched, reverse=True)
    assert searched[0] == usual
    assert 0 <= own_signals(step, usual) <= usual


@given(pressures, pressures)
def test_a_smoothed_pressure_lies_between_the_two(before: float, now: float) -> None:
    low, high = sorted((before, now))
    assert low <= smoothed(before, now) + 1e-12
    assert smoothed(before, now) <= high + 1e-12
