from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidInput
from service.records import Signal
from service.signals.merge import identified, merge, signal_id
from service.signals.times import validate_times

signals = st.lists(
    st.builds(
        Signal,
        at_ms=st.integers(0, 20),
        domain=st.just("search"),
        text=st.sampled_from(["a", "b"]),
        id=st.sampled_from("abcdef"),
    ),
    max_size=8,
)


@given(signals, signals, st.integers(0, 10))
def test_the_merged_history_is_the_newest_distinct_signals_oldest_first(
    stored: list[Signal], inline: list[Signal], limit: int
) -> None:
    found = merge(stored, inline, limit)
    every = merge(stored, inline, 100)
    assert found == (every[-limit:] if limit else ())
    assert [merged.at_ms for merged in every] == sorted(merged.at_ms for merged in every)
    assert sorted({merged.id for merged in stored + inline}) == sorted(
        merged.id for merged in every
    )


@given(signals, signals)
def test_merging_again_changes_nothing(stored: list[Signal], inline: list[Signal]) -> None:
    once = merge(stored, inline, 100)
    assert merge(once, inline, 100) == once


def test_the_stored_signal_stays_where_the_request_repeats_it() -> None:
    stored = Signal(1, "search", "as stored", "e")
    assert merge([stored], [replace(stored, at_ms=9, text="as sent")], 5) == (stored,)


def test_signals_without_an_id_get_one_from_their_content() -> None:
    bare = Signal(1, "search", "text", "")
    (named,) = identified([bare])
    assert named.id == signal_id("search", 1, "text")
    assert merge([named], [bare, bare], 5) == (named,)


def test_ids_differ_where_any_part_of_the_event_does() -> None:
    events = [
        ("search", 1, "a", None),
        ("news", 1, "a", None),
        ("search", 2, "a", None),
        ("search", 1, "b", None),
        ("search", 1, "a", ""),
        ("search", 1, "a", "i"),
    ]
    assert len({signal_id(*event) for event in events}) == len(events)


@pytest.mark.parametrize("at_ms", [1_000_000 + 300_001, -1])
def test_a_time_ahead_or_before_1970_is_refused_by_field(at_ms: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        validate_times([Signal(1, "news", "t", "a"), Signal(at_ms, "news", "t", "b")], 1_000_000)
    assert refused.value.field == "signals[1].at"


def test_five_minutes_ahead_is_still_fine() -> None:
    validate_times([Signal(1_300_000, "news", "t", "a")], 1_000_000)
