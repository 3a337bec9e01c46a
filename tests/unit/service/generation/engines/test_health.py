"""When is an engine hung? Time is passed in, so nothing here waits."""

from __future__ import annotations

from service.generation.engines.health import Patience, Pulse, Recent


def warmed(first_s: float = 0.1, gap_s: float = 0.05) -> Pulse:
    """A pulse that has seen thirty calls, the last of them over at second 0."""
    pulse = Pulse(Patience())
    for number in range(30):
        at = number - 30.0
        pulse.started(at)
        pulse.first(at + first_s, first_s)
        pulse.next(at + first_s + gap_s, gap_s)
        pulse.ended(at + first_s + gap_s, had_chunk=True)
    return pulse


def test_an_idle_engine_is_never_hung() -> None:
    assert not warmed().hung(10_000.0)


def test_a_slow_start_is_forgiven_until_enough_has_been_seen() -> None:
    pulse = Pulse(Patience(first_token_grace_s=30))
    pulse.started(0.0)
    assert not pulse.hung(29.0)
    assert pulse.hung(31.0)


def test_a_known_engine_is_hung_after_two_seconds_of_silence() -> None:
    pulse = warmed()
    pulse.started(0.0)
    assert not pulse.hung(1.9)
    assert pulse.hung(2.1)


def test_a_slow_engine_gets_three_times_what_it_usually_takes() -> None:
    pulse = warmed(first_s=4.0)
    pulse.started(100.0)
    assert not pulse.hung(111.0)
    assert pulse.hung(113.0)


def test_while_streams_flow_only_their_gaps_count() -> None:
    pulse = warmed(first_s=4.0, gap_s=0.05)
    pulse.started(100.0)
    pulse.first(101.0, 1.0)
    assert pulse.hung(103.1)
    pulse.started(101.0)
    assert not pulse.hung(103.1), "a prompt is being read: that may hold the others up"


def test_a_chunk_of_any_call_breaks_the_silence() -> None:
    pulse = warmed()
    pulse.started(0.0)
    pulse.started(0.0)
    pulse.first(1.9, 1.9)
    assert not pulse.hung(3.5)


def test_callers_that_give_up_early_do_not_hide_a_hung_engine() -> None:
    pulse = warmed()
    for at in range(3):
        pulse.started(float(at))
        pulse.ended(at + 0.8, had_chunk=False)
    pulse.started(10.0)
    assert not pulse.hung(10.0 - 0.5), "idle time does not count"
    assert pulse.hung(10.1)


def test_observations_of_one_batch_count_once() -> None:
    recent = Recent(spacing_s=0.02)
    for value in (0.1, 0.3, 0.2):
        recent.add(5.0, value)
    recent.add(5.03, 0.1)
    assert len(recent) == 2
    assert recent.quantile(0.99) == 0.3


def test_the_typical_time_of_a_call_is_the_median_of_recent_ones() -> None:
    pulse = Pulse(Patience())
    for number in range(7):
        pulse.completed(float(number), 1.0)
    assert pulse.typical_s == 0.0, "too few to tell"
    pulse.completed(7.0, 1.0)
    assert pulse.typical_s == 1.0


def test_calls_cut_off_raise_the_typical_time_until_calls_end_again() -> None:
    pulse = Pulse(Patience())
    for number in range(8):
        pulse.cut(float(number), 0.5)
    assert pulse.typical_s == 1.0
    for number in range(8, 24):
        pulse.completed(float(number), 0.7)
    assert pulse.typical_s == 0.7
