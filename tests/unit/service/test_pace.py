"""As many requests are begun as can be answered in time, by what they were seen to cost."""

from __future__ import annotations

from contextlib import ExitStack
from copy import copy

import pytest

from service.errors import Overloaded
from service.pace import Pace

MANY = 5_000


class Cpu:
    """Seconds of CPU, as the test says."""

    def __init__(self) -> None:
        self.used_s = 0.0

    def __call__(self) -> float:
        return self.used_s


def learn(pace: Pace, cpu: Cpu, cost_s: float, requests: int = 400) -> None:
    for _ in range(requests):
        with pace.turn(10.0) as ended:
            cpu.used_s += cost_s
            ended(1.0)


def begun(pace: Pace, time_s: float) -> int:
    """How many requests of so much time each would be begun side by side."""
    unlearnt = copy(pace)
    with ExitStack() as turns:
        for count in range(MANY):
            try:
                turns.enter_context(unlearnt.turn(time_s))
            except Overloaded:
                return count
    return MANY


@pytest.mark.parametrize("cost_s", [0.001, 0.004, 0.02])
def test_twice_the_time_or_half_the_cost_is_twice_the_requests(cost_s: float) -> None:
    cpu = Cpu()
    pace = Pace(cpu)
    learn(pace, cpu, cost_s)
    assert pace.cost_s == pytest.approx(cost_s, rel=0.01)
    assert begun(pace, 0.3) == pytest.approx(0.5 * 0.3 / cost_s, abs=1)
    assert begun(pace, 0.6) == pytest.approx(0.5 * 0.6 / cost_s, abs=1)


def test_one_request_is_always_begun_however_little_time_it_has() -> None:
    assert begun(Pace(Cpu()), 0.001) == 1


def test_waiting_costs_nothing() -> None:
    """Requests that wait for an engine for seconds, side by side, are not in each other's way."""
    cpu = Cpu()
    pace = Pace(cpu)
    learn(pace, cpu, 0.002)
    assert begun(pace, 4.0) >= 995


def test_late_answers_make_room_at_once_and_answers_in_time_take_it_back_slowly() -> None:
    cpu = Cpu()
    pace = Pace(cpu)
    learn(pace, cpu, 0.002)
    before = begun(pace, 0.3)
    for _ in range(10):
        with pace.turn(0.3) as ended:
            cpu.used_s += 0.002
            ended(-0.05)
    after = begun(pace, 0.3)
    assert after < before / 2
    learn(pace, cpu, 0.002, requests=50)
    assert after < begun(pace, 0.3) < before
    learn(pace, cpu, 0.002, requests=1_000)
    assert begun(pace, 0.3) == pytest.approx(before, abs=1)


def test_what_not_even_the_most_patient_would_wait_for_is_refused_unread() -> None:
    cpu = Cpu()
    pace = Pace(cpu)
    learn(pace, cpu, 0.002)
    pace.refuse_hopeless()
    with ExitStack() as turns:
        for _ in range(begun(pace, 10.0)):
            turns.enter_context(pace.turn(10.0))
        with pytest.raises(Overloaded, match="within 10000 ms"):
            pace.refuse_hopeless()
    pace.refuse_hopeless()


def test_work_that_fails_gives_its_turn_back() -> None:
    pace = Pace(Cpu())
    with pytest.raises(ValueError, match="oops"), pace.turn(0.3):
        raise ValueError("oops")
    assert pace.in_work == 0


def test_requests_that_arrive_together_are_counted_before_any_has_begun() -> None:
    cpu = Cpu()
    pace = Pace(cpu)
    learn(pace, cpu, 0.002)
    room = begun(pace, 10.0)
    with ExitStack() as arrivals:
        for _ in range(room):
            arrivals.enter_context(pace.arrival())
        with pytest.raises(Overloaded), pace.arrival():
            pass
    assert pace.in_work == 0


def test_an_arrival_and_its_turn_count_once_and_further_turns_by_themselves() -> None:
    pace = Pace(Cpu())
    with pace.arrival() as arrival, pace.turn(10.0, arrival):
        assert pace.in_work == 1
        with pace.turn(10.0, arrival), pace.turn(10.0, arrival):
            assert pace.in_work == 3
    assert pace.in_work == 0


def test_an_arrival_that_is_alone_may_begin_however_little_time_it_has() -> None:
    pace = Pace(Cpu())
    with pace.arrival() as arrival, pace.turn(0.001, arrival):
        assert pace.in_work == 1


def test_it_is_idle_while_less_than_half_of_what_would_be_begun_is_in_work() -> None:
    cpu = Cpu()
    pace = Pace(cpu)
    assert pace.idle
    learn(pace, cpu, 0.01)
    with ExitStack() as turns:
        for _ in range(7):  # of 15 that fit into half of 300 ms
            turns.enter_context(pace.turn(0.3))
        assert pace.idle
        turns.enter_context(pace.turn(0.3))
        assert not pace.idle
    assert pace.idle
