"""How many calls an engine is given at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.generation.engines.completions import seconds_of
from service.generation.engines.room import Room


def test_a_burst_beyond_what_the_engine_takes_is_one_lesson() -> None:
    room = Room(32)
    for others in range(31, 7, -1):
        room.turned_away(1.0, 0.5, others, 0)
    assert room.calls == 8, "what ran on fits"
    room.turned_away(2.0, 1.5, 8, 0)
    assert room.calls == 6, "a call of after that is another lesson"


def test_it_grows_by_one_in_a_round_and_only_while_it_is_in_use() -> None:
    room = Room(8)
    room.turned_away(1.0, 0.5, 4, 0)
    for _ in range(50):
        room.served(room.calls - 1)
    assert room.calls == 4
    for _ in range(5):
        room.served(room.calls)
    assert room.calls == 5
    for _ in range(100):
        room.served(room.calls)
    assert (room.calls, room.whole) == (8, True)


def test_without_a_call_of_ours_running_it_rests_for_longer_each_time_until_one_is_served() -> None:
    room, rests = Room(4), []
    for now in range(8):
        room.turned_away(now, now, 0, 0)
        rests.append(room.rests_until - now)
    assert rests == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1, 1, 1])
    room.served(1)
    room.turned_away(10, 9.5, 0, 0)
    assert room.rests_until == pytest.approx(10.05)
    room.turned_away(20, 20, 0, 4)
    assert room.rests_until == 24, "the engine named the moment"
    room.turned_away(30, 30, 0, 9_000)
    assert room.rests_until == 60
    room.turned_away(100, 100, 2, 9)
    assert room.rests_until == 60, "others run: their ends tell when there is room again"


@given(st.integers(1, 64), st.lists(st.tuples(st.booleans(), st.integers(0, 64)), max_size=200))
def test_it_is_never_less_than_one_call_nor_more_than_the_window(
    window: int, events: list[tuple[bool, int]]
) -> None:
    room = Room(window)
    for now, (busy, number) in enumerate(events):
        before = room.calls
        if busy:
            room.turned_away(now, now, number, 0)
            assert room.calls <= min(before, max(1, number))
        else:
            room.served(number)
            assert before <= room.calls <= before + 1
        assert 1 <= room.calls <= window
        assert room.whole == (room.calls == window)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("", 0.0),
        ("0", 0.0),
        (" 12 ", 12.0),
        ("-3", 0.0),
        ("1.5", 0.0),
        ("\u00b2", 0.0),
        ("9" * 400, 0.0),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        ("Thu, 99 Jan 1970 00:00:01 GMT", 0.0),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(said: str, seconds: float) -> None:
    assert seconds_of(said, now=100.0) == seconds
