"""Deadlines share themselves out in order; permits never exceed capacity."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.errors import Overloaded
from service.limits import Admission, Deadline


@given(started=st.floats(0, 1e6), timeout_ms=st.integers(20, 30_000))
def test_each_stage_ends_before_the_next_and_all_before_the_deadline(
    started: float, timeout_ms: int
) -> None:
    deadline = Deadline(started, started + timeout_ms / 1000)
    ends = [
        deadline.signals_until,
        deadline.generate_until,
        deadline.retrieve_until,
        deadline.at,
    ]
    assert deadline.started < ends[0]
    assert ends == sorted(ends)
    assert len(set(ends)) == 4


@given(st.floats(0, 2), st.integers(20, 30_000))
def test_a_request_that_is_begun_late_still_gives_the_store_half_its_share_if_there_is_time(
    late_s: float, timeout_ms: int
) -> None:
    deadline = Deadline(0.0, timeout_ms / 1000)
    until = deadline.signals_until_begun_at(late_s)
    assert deadline.signals_until <= until <= deadline.generate_until
    if until < deadline.generate_until:
        assert until - late_s >= deadline.signals_until / 2 - 1e-9


def test_a_long_deadline_gives_its_time_to_the_generation() -> None:
    deadline = Deadline(0.0, 30.0)
    assert deadline.signals_until == 0.5
    assert deadline.generate_until > 29


@given(st.lists(st.integers(1, 4), max_size=20), st.integers(1, 8))
def test_permits_never_exceed_capacity_and_all_come_back(counts: list[int], capacity: int) -> None:
    admission = Admission(capacity)
    held = []
    for count in counts:
        permit = admission.permit(count)
        try:
            permit.__enter__()
        except Overloaded:
            assert admission.in_flight + count > capacity
        else:
            held.append(permit)
        assert admission.in_flight <= capacity
    for permit in held:
        permit.__exit__(None, None, None)
    assert admission.in_flight == 0
