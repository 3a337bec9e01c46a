"""What is missing from a folder of events, by the numbers of each process."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from service.events.export.ids import EntryId, Segment
from service.events.export.losses import Losses, losses
from service.events.export.summary import SETTLED_MS, Summary, Tally, merged

LONG_AGO_MS = 1_000
NOW_MS = LONG_AGO_MS + 10 * SETTLED_MS
NUMBERS = st.sets(st.integers(0, 40), min_size=1)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5))))
def test_intervals_hold_the_same_numbers_and_do_not_touch(pairs: list[tuple[int, int]]) -> None:
    given_ = [(first, first + more) for first, more in pairs]
    found = merged(given_)
    assert _numbers(found) == sorted(set(_numbers(given_)))
    edges = [edge for interval in found for edge in interval]
    assert edges == sorted(edges)
    assert all(later[0] > one[1] + 1 for one, later in pairwise(found))


def _numbers(intervals: list[tuple[int, int]]) -> list[int]:
    return [number for first, last in intervals for number in range(first, last + 1)]


def segment(
    place: int, *exposures: tuple[int, int], process: int = 4, end: int | None = None
) -> tuple[Segment, Summary]:
    """A segment of a process's exposures (number, ms), which ends a minute after the last."""
    tally = Tally()
    for number, at_ms in exposures:
        tally.saw(process, number, at_ms)
    if end is not None:
        tally.ended(process, end)
    last = EntryId(max((at_ms for _, at_ms in exposures), default=NOW_MS), place)
    return Segment(process % 4, last, last), tally.summary(last)


def later(place: int = 9) -> tuple[Segment, Summary]:
    """A segment of another process, ten minutes on: what came before it has settled."""
    return segment(place, (0, NOW_MS + 10 * SETTLED_MS), process=8, end=1)


@given(NUMBERS, st.integers(1, 7), st.randoms(use_true_random=False), st.booleans())
def test_numbers_are_missing_before_between_and_after_what_there_is(
    there: set[int], size: int, chance: random.Random, ends: bool
) -> None:
    shuffled = sorted(there)
    chance.shuffle(shuffled)
    pieces = [shuffled[place : place + size] for place in range(0, len(shuffled), size)]
    found = [
        segment(n, *((one, LONG_AGO_MS + n) for one in piece)) for n, piece in enumerate(pieces)
    ]
    end = 45 if ends else None
    if ends:
        found.append(segment(50, end=end))
    first, top = min(there), max(there)
    assert losses([*found, later()])[0] == Losses(
        process=4,
        exposures=len(there),
        before=first,
        between=top - first + 1 - len(there),
        after=44 - top if ends else 0,
        ending="in order" if ends else "no orderly end",
    )


def test_a_number_that_may_be_on_its_way_is_not_missing() -> None:
    young = NOW_MS - SETTLED_MS + 1
    (found,) = losses([segment(0, (0, LONG_AGO_MS), (2, LONG_AGO_MS), (5, young), (6, NOW_MS))])
    assert found == Losses(4, exposures=4, before=0, between=1, after=0, ending="not yet")
    assert found.missing == 1
    (found, _) = losses([segment(0, (0, LONG_AGO_MS), (5, young), (6, NOW_MS)), later()])
    assert (found.between, found.ending) == (4, "no orderly end")


def test_a_process_of_which_only_the_end_is_there_has_lost_all() -> None:
    (found,) = losses([segment(0, end=7)])
    assert found == Losses(4, exposures=0, before=0, between=0, after=7, ending="in order")


def test_a_process_that_served_nobody_has_lost_nothing() -> None:
    (found,) = losses([segment(0, end=0)])
    assert found.missing == 0
