"""The window and the queue, in memory."""

from __future__ import annotations

from dataclasses import dataclass

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from service.generation.engines.lane import Lane


@dataclass(eq=False)
class Work:
    earliest: float
    latest: float = 0.0

    def __post_init__(self) -> None:
        self.latest = max(self.latest, self.earliest)


def test_the_earliest_deadline_starts_first_and_ties_keep_their_order() -> None:
    lane = Lane[Work](window=4, queue=4)
    works = [Work(3), Work(1), Work(2), Work(1)]
    for work in works:
        assert lane.offer(work) is None
    started = [lane.start() for _ in works]
    assert started == [works[1], works[3], works[2], works[0]]


def test_a_full_queue_refuses_the_latest_deadline_or_the_newcomer() -> None:
    lane = Lane[Work](window=1, queue=2)
    first, patient, urgent = Work(1), Work(9), Work(2)
    lane.offer(first)
    lane.start()
    lane.offer(patient)
    lane.offer(urgent)
    assert lane.offer(pressing := Work(5)) is patient
    assert lane.offer(idle := Work(7)) is idle
    assert [lane.waiting, pressing in lane.empty()] == [2, True]


def test_without_a_queue_a_call_still_starts_in_a_free_slot() -> None:
    lane = Lane[Work](window=1, queue=0)
    assert lane.offer(Work(1)) is None
    assert lane.start() is not None
    second = Work(0.5)
    assert lane.offer(second) is second


def test_a_changed_deadline_finds_its_new_place() -> None:
    lane = Lane[Work](window=1, queue=4)
    patient, other = Work(9), Work(5)
    lane.offer(patient)
    lane.offer(other)
    patient.earliest = 1
    lane.move(patient)
    assert lane.start() is patient


def test_late_calls_hold_a_quarter_of_the_window_and_the_newest_is_shed_first() -> None:
    lane = Lane[Work](window=8, queue=8)
    works = [Work(n) for n in range(8)]
    for work in works:
        lane.offer(work)
        lane.start()
    assert [lane.run_late(work) for work in works[:3]] == [True, True, False]
    assert lane.shed() is None
    lane.offer(Work(20))
    assert lane.shed() is works[1]
    assert lane.shed() is None, "one waiter, one slot"
    assert lane.start() is None, "the slot is free only when the connection is closed"
    lane.ended(works[1])
    assert lane.start() is not None


def test_a_spare_call_starts_only_while_nobody_waits_and_half_of_the_room_stays_free() -> None:
    lane = Lane[Work](window=8, queue=8)
    for _ in range(3):
        lane.offer(Work(1))
        lane.start()
    assert lane.has_spare_room(now=0)
    lane.offer(waiting := Work(2))
    assert not lane.has_spare_room(now=0), "somebody waits"
    assert lane.start() is waiting
    assert not lane.has_spare_room(now=0), "with one more, less than half would be free"


def test_spare_calls_share_the_quarter_of_late_ones() -> None:
    lane = Lane[Work](window=16, queue=8)
    late = Work(1)
    lane.offer(late)
    lane.start()
    assert lane.run_late(late)
    for _ in range(3):
        assert lane.has_spare_room(now=0)
        lane.start_spare(Work(9))
    assert not lane.has_spare_room(now=0)
    assert lane.live == 0


def test_no_spare_call_starts_while_the_engine_rests_or_in_a_window_of_one() -> None:
    lane = Lane[Work](window=8, queue=8)
    lane.room.turned_away(now=10, began=9, others=0, asked_s=5)
    assert not lane.has_spare_room(now=14)
    assert not Lane[Work](window=1, queue=8).has_spare_room(now=0)


def test_spare_calls_are_shed_before_late_ones() -> None:
    lane = Lane[Work](window=4, queue=8)
    spare, late = Work(9), Work(1)
    lane.start_spare(spare)
    for work in (late, Work(2), Work(3)):
        lane.offer(work)
        lane.start()
    lane.run_late(late)
    lane.offer(Work(4))
    lane.offer(Work(5))
    assert [lane.shed(), lane.shed(), lane.shed()] == [spare, late, None]


def test_under_overload_a_call_that_cannot_finish_gives_way_but_the_last_one_tries() -> None:
    lane = Lane[Work](window=1, queue=8)
    doomed, also_doomed, fits = Work(10.1), Work(10.2), Work(12)
    for work in (doomed, also_doomed, fits):
        lane.offer(work)
    assert lane.hopeless(now=10, needs_s=1) == [doomed, also_doomed]
    assert lane.hopeless(now=11.9, needs_s=1) == []
    assert lane.start() is fits


class LaneMachine(RuleBasedStateMachine):
    """Any order of events: the bounds hold, and nobody is lost or served twice."""

    queued = Bundle("queued")
    running = Bundle("running")

    def __init__(self) -> None:
        super().__init__()
        self.lane = Lane[Work](window=4, queue=3)
        self.known: set[Work] = set()
        self.leaving: set[Work] = set()
        self.spare: set[Work] = set()

    @rule(target=queued, deadline=st.integers(0, 20))
    def offer(self, deadline: int) -> Work:
        work = Work(deadline)
        loser = self.lane.offer(work)
        self.known.add(work)
        if loser is not None:
            assert loser.earliest == max(w.earliest for w in [*self.waiting(), loser])
            self.known.discard(loser)
        return work

    @rule(work=consumes(queued))
    def leave(self, work: Work) -> None:
        if work in self.waiting():
            self.lane.leave(work)
            self.known.discard(work)

    @rule(work=queued, deadline=st.integers(0, 20))
    def move(self, work: Work, deadline: int) -> None:
        if work in self.waiting():
            work.earliest = deadline
            self.lane.move(work)

    @rule(target=running)
    def start(self) -> Work:
        waiting = self.waiting()
        work = self.lane.start()
        if work is None:
            assert not waiting or self.lane.running >= self.lane.room.calls
            return Work(0)
        assert work.earliest == min(w.earliest for w in waiting)
        return work

    @rule(target=running)
    def start_spare(self) -> Work:
        work = Work(0)
        if self.lane.has_spare_room(now=30):
            self.lane.start_spare(work)
            self.known.add(work)
            self.spare.add(work)
            assert not self.waiting()
            assert 2 * self.lane.running <= self.lane.room.calls
        return work

    @rule(work=running)
    def turn_late(self, work: Work) -> None:
        if work in self.lane.in_work() and work not in self.spare:
            self.lane.run_late(work)

    @rule(work=running)
    def revive(self, work: Work) -> None:
        self.lane.revive(work)
        self.spare.discard(work)

    @rule()
    def shed(self) -> None:
        full = self.lane.running >= self.lane.room.calls
        work = self.lane.shed()
        assert work is None or full
        assert work is None or work in self.spare or not self.spare
        if work is not None:
            self.leaving.add(work)
            self.spare.discard(work)

    @rule(work=consumes(running))
    def end(self, work: Work) -> None:
        self.lane.ended(work)
        self.spare.discard(work)
        self.leaving.discard(work)
        if work not in self.waiting():
            self.known.discard(work)

    def waiting(self) -> list[Work]:
        return self.lane.queued()

    @rule(began=st.integers(0, 40), others=st.integers(0, 4))
    def narrow(self, began: int, others: int) -> None:
        self.lane.room.turned_away(20, began, others, 0)

    @rule(running=st.integers(0, 4))
    def widen(self, running: int) -> None:
        self.lane.room.served(running)

    @invariant()
    def bounds_hold(self) -> None:
        lane = self.lane
        assert lane.running <= lane.window
        assert lane.late <= max(1, lane.window // 4)
        assert 1 <= lane.room.calls <= lane.window
        # A late call that somebody waits for again takes a place that may have been given away.
        outstanding = lane.waiting + lane.live + lane.late
        assert outstanding <= lane.limit + lane.window + max(1, lane.window // 4)
        assert lane.live >= 0

    @invariant()
    def nobody_is_lost(self) -> None:
        waiting, running = set(self.waiting()), {*self.lane.in_work(), *self.leaving}
        assert waiting | running == self.known
        assert not waiting & running
        assert (len(waiting), len(running)) == (self.lane.waiting, self.lane.running)


TestLaneMachine = LaneMachine.TestCase
TestLaneMachine.settings = settings(max_examples=60, stateful_step_count=40)
