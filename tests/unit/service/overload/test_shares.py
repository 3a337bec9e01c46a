"""Max-min shares: nobody gets more than it wants while another gets less than an equal part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.overload.shares import max_min_shares

wants = st.dictionaries(st.text(max_size=2), st.floats(0, 1_000), min_size=1, max_size=8)
rooms = st.floats(1, 500)


@given(rooms, wants)
def test_all_of_the_room_is_shared_out_and_nobody_gets_more_than_it_wants(
    room: float, wanted: dict[str, float]
) -> None:
    shares = max_min_shares(room, wanted)
    assert all(0 <= shares[name] <= wanted[name] for name in wanted)
    assert sum(shares.values()) == pytest.approx(min(room, sum(wanted.values())))


@given(rooms, wants)
def test_who_gets_less_than_it_wants_gets_as_much_as_anybody(
    room: float, wanted: dict[str, float]
) -> None:
    shares = max_min_shares(room, wanted)
    for name, share in shares.items():
        if share < wanted[name] - 1e-9:
            assert share >= max(shares.values()) - 1e-6


@given(rooms, wants, st.floats(1_000, 1e6))
def test_a_flood_takes_nothing_from_one_who_wants_less_than_an_equal_part(
    room: float, wanted: dict[str, float], flood: float
) -> None:
    wanted["the flood"] = flood
    shares = max_min_shares(room, wanted)
    for name, want in wanted.items():
        if want <= room / len(wanted):
            assert shares[name] == want
