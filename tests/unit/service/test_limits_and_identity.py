"""Deadlines share themselves out in order; permits never exceed capacity; ids can be checked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Overloaded
from service.identity import Identity
from service.limits import Admission, Deadline

user_ids = st.text(min_size=1, max_size=128)


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


@given(user_ids)
def test_a_request_id_is_valid_for_its_user_and_any_holder_of_the_secret(user_id: str) -> None:
    request_id = Identity(b"secret").request_id(user_id)
    assert Identity(b"secret").verify(request_id, user_id)
    assert not Identity(b"other").verify(request_id, user_id)
    assert not Identity(b"secret").verify(request_id, user_id + "x")


@given(st.text(max_size=60))
def test_a_made_up_request_id_is_refused(request_id: str) -> None:
    assert not Identity(b"secret").verify(request_id, "u")


def test_a_changed_character_makes_a_request_id_invalid() -> None:
    identity = Identity(b"secret")
    request_id = identity.request_id("u")
    for at in range(len(request_id) - 1):
        other = "A" if request_id[at] != "A" else "B"
        assert not identity.verify(request_id[:at] + other + request_id[at + 1 :], "u")


def test_request_ids_of_one_process_differ() -> None:
    identity = Identity()
    assert len({identity.request_id("u") for _ in range(100)}) == 100


@pytest.mark.parametrize("user_id", ["maya", "a{b}%", "🦊"])
def test_a_hashed_user_id_does_not_show_the_user(user_id: str) -> None:
    hashed = Identity(b"secret").user_hash(user_id)
    assert len(hashed) == 16
    assert user_id not in hashed
