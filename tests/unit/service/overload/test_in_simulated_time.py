"""The parts together, under more than a gateway can answer: in simulated time, from a seed."""

from __future__ import annotations

import pytest

from service.overload.saving import Saving, Step
from tests.unit.service.overload.simulated import (
    CAPACITY,
    Sent,
    goodput,
    p99_s,
    simulated,
)

SECONDS = 5.0
DEADLINE_S = 1.0
AT_PEAK, AT_THREE = 1, 3
SHARES = (0.5, 1.0, 2.0, 3.0, 0.5)
"""Of what the gateway can compute."""


def offered(
    *shares: float, engine_s: float = 0.0, saving: Saving | None = None, adaptive: bool = True
) -> tuple[list[list[Sent]], list[int], list[Step]]:
    rates = [share * CAPACITY for share in shares]
    return simulated(rates, SECONDS, engine_s=engine_s, saving=saving, adaptive=adaptive)


@pytest.fixture(scope="module")
def overloaded() -> list[list[Sent]]:
    """Without savings: with them more is answered under overload than at the peak."""
    return offered(*SHARES)[0]


def test_at_three_times_the_peak_nine_tenths_of_its_answers_are_in_time(
    overloaded: list[list[Sent]],
) -> None:
    peak = max(goodput(sent, SECONDS, DEADLINE_S) for sent in overloaded)
    assert goodput(overloaded[AT_THREE], SECONDS, DEADLINE_S) >= 0.9 * peak
    assert goodput(overloaded[AT_THREE], SECONDS, DEADLINE_S) >= 0.9 * CAPACITY


def test_answers_take_at_most_twice_as_long_as_at_the_peak(overloaded: list[list[Sent]]) -> None:
    at_peak = p99_s(overloaded[AT_PEAK], refused=False)
    assert p99_s(overloaded[AT_THREE], refused=False) <= 2 * at_peak
    assert at_peak <= DEADLINE_S / 4


def test_a_refusal_waits_for_two_turns_at_the_most(overloaded: list[list[Sent]]) -> None:
    """They compute 3 ms each; twenty at once would be 60 ms."""
    assert p99_s(overloaded[AT_THREE], refused=True) <= 0.006


def test_afterwards_every_request_is_answered_at_once(overloaded: list[list[Sent]]) -> None:
    assert not any(one.refused for one in overloaded[-1])
    assert p99_s(overloaded[-1], refused=False) < 2 * p99_s(overloaded[0], refused=False)


def test_a_pause_of_the_process_at_half_load_costs_no_request_its_answer() -> None:
    """A garbage collection, or a neighbour on the core. Requests compute 0.8 ms, so as many as
    come in 100 ms are answered within 50."""
    work = 0.15
    rate = 0.5 * CAPACITY / work
    [sent], _, _ = simulated([rate], SECONDS, work=work, pause_s=0.1)
    assert sum(one.seconds > 0.05 for one in sent) > 20, "the pause was felt"
    assert not any(one.refused for one in sent)


def test_with_a_constant_limit_answers_come_too_late_to_be_used() -> None:
    """So it is the limit that the figures above come from."""
    sent, _, _ = offered(*SHARES, adaptive=False)
    assert goodput(sent[AT_THREE], SECONDS, DEADLINE_S) < 0.5 * CAPACITY


@pytest.mark.parametrize("engine_s", [0.3, 1.0, 4.0])
def test_an_engine_that_takes_long_costs_no_request_its_place(engine_s: float) -> None:
    rate = 0.3 if engine_s < 4 else 0.2  # 256 requests in work are the capacity
    sent, limits, _ = offered(rate, rate, engine_s=engine_s)
    assert not any(one.refused for phase in sent for one in phase)
    assert limits[-1] >= 20


def test_with_a_slow_engine_an_overloaded_gateway_still_computes_all_the_time() -> None:
    sent, _, _ = offered(1.0, 3.0, 3.0, engine_s=0.3)
    assert goodput(sent[-1], SECONDS, DEADLINE_S) >= 0.85 * CAPACITY


def test_what_is_saved_answers_more_requests_and_ends_with_the_overload() -> None:
    sent, _, steps = offered(*SHARES, saving=Saving(0.7, 0.85))
    assert goodput(sent[AT_THREE], SECONDS, DEADLINE_S) > 1.1 * CAPACITY
    assert steps[0] is Step.NOTHING
    assert steps[AT_THREE] is Step.ALL_OF_OWN
    assert steps[-1] is Step.NOTHING
