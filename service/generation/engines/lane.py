"""The bounded window of calls before one engine, and the queue behind it.

It decides in memory and does nothing: the dispatcher starts and aborts what it is told to. All of
it runs on the event loop's thread between two awaits, so there is nothing to lock.

Who is where:

    queue    waiting, earliest deadline first; full: the latest deadline has to go
    window   running: live calls, late ones (their callers have been answered), spare ones (no
             caller's answer needs them) and leaving ones (aborted, connection not yet closed); none
             is started beyond the engine's `room`, which is the window, or less while the engine
             says that it is busy
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Generic, Protocol, TypeVar

from service.generation.engines.room import Room


class Dated(Protocol):
    """Work with a deadline: hashed by identity, moments in seconds on one clock."""

    @property
    def earliest(self) -> float:
        """The deadline of its most pressing waiter: its place in the queue."""
        ...

    @property
    def latest(self) -> float:
        """The deadline of its most patient waiter: after it the work is of no use."""
        ...


T = TypeVar("T", bound=Dated)


class Lane(Generic[T]):
    """Window and queue of one engine. Late calls hold at most a quarter of the room (and at least
    one slot, or a small window could never finish a slow student's list). Spare ones start within
    that quarter and while half of the room stays free. Both give way, spare ones first."""

    def __init__(self, window: int, queue: int) -> None:
        self.window = window
        self.limit = queue
        self.room = Room(window)
        self._order: list[tuple[float, int, T]] = []
        self._places: dict[T, tuple[float, int]] = {}
        self._running: dict[T, None] = {}
        self._late: dict[T, None] = {}
        self._spare: dict[T, None] = {}
        self._leaving: set[T] = set()
        self._arrivals = 0

    @property
    def late_limit(self) -> int:
        """Slots that late calls may hold."""
        return max(1, self.room.calls // 4)

    @property
    def has_room(self) -> bool:
        """Whether a call that is queued now would start at once."""
        return not self._order and len(self._running) < self.room.calls

    def has_spare_room(self, now: float) -> bool:
        """Whether a spare call may start at this moment."""
        return (
            not self._order
            and now >= self.room.rests_until
            and 2 * (len(self._running) + 1) <= self.room.calls
            and len(self._late) + len(self._spare) < self.late_limit
        )

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return len(self._order)

    @property
    def running(self) -> int:
        """Slots of the window in use."""
        return len(self._running)

    @property
    def late(self) -> int:
        """Slots in use by calls whose callers have been answered."""
        return len(self._late)

    @property
    def live(self) -> int:
        """Slots in use by calls that somebody waits for."""
        aside = len(self._late) + len(self._spare) + len(self._leaving)
        return len(self._running) - aside

    @property
    def outstanding(self) -> int:
        """Calls that this engine still has to serve: live and queued."""
        return self.live + len(self._order)

    def queued(self) -> list[T]:
        """The calls in the queue, earliest deadline first."""
        return [item for _, _, item in self._order]

    def in_work(self) -> list[T]:
        """The running calls that have not been aborted, oldest first."""
        return [item for item in self._running if item not in self._leaving]

    # -- the queue

    def offer(self, item: T) -> T | None:
        """Queue an item. Returns who must be refused for it: nobody, another, or the item."""
        self._insert(item)
        if len(self._order) <= self.limit + self.window - self.live:
            return None
        _, _, loser = self._order[-1]
        self.leave(loser)
        return loser

    def leave(self, item: T) -> None:
        """Take an item out of the queue."""
        place = self._places.pop(item)
        del self._order[bisect_left(self._order, place, key=lambda entry: entry[:2])]

    def move(self, item: T) -> None:
        """Find an item's new place in the queue after its deadlines have changed."""
        self.leave(item)
        self._insert(item)

    def empty(self) -> list[T]:
        """Take everything out of the queue, earliest deadline first."""
        items = self.queued()
        self._order.clear()
        self._places.clear()
        return items

    def hopeless(self, now: float, needs_s: float) -> list[T]:
        """Take out those at the head that can't finish in time while others behind them could.

        Earliest-deadline-first collapses under overload: each call starts when its time is nearly
        up, and none ends in time. So when a slot is free and more are waiting than can start, a
        call with less than `needs_s` seconds left gives way. The last ones always get their try.
        """
        given_up: list[T] = []
        free = self.room.calls - len(self._running)
        while 0 < free < len(self._order):
            _, _, head = self._order[0]
            if head.latest - now >= needs_s:
                break
            self.leave(head)
            given_up.append(head)
        return given_up

    def _insert(self, item: T) -> None:
        self._arrivals += 1
        place = (item.earliest, self._arrivals)
        self._places[item] = place
        insort(self._order, (*place, item), key=lambda entry: entry[:2])

    # -- the window

    def start(self) -> T | None:
        """The item to start now, if a slot is free and someone waits; it then holds the slot."""
        if not self._order or len(self._running) >= self.room.calls:
            return None
        _, _, item = self._order[0]
        self.leave(item)
        self._running[item] = None
        return item

    def start_spare(self, item: T) -> None:
        """Give an item a slot that nobody needs, past the queue: ask `has_spare_room` before."""
        self._running[item] = None
        self._spare[item] = None

    def shed(self) -> T | None:
        """The item to abort, if a live one needs its slot: a spare one before a late one, of either
        kind that which became so last."""
        if len(self._running) < self.room.calls or len(self._leaving) >= len(self._order):
            return None
        giving_way = self._spare or self._late
        if not giving_way:
            return None
        item = next(reversed(giving_way))
        self.abort(item)
        return item

    def run_late(self, item: T) -> bool:
        """Let a running item go on without a waiter, if there is room among the late ones."""
        if len(self._late) >= self.late_limit:
            return False
        self._late[item] = None
        return True

    def revive(self, item: T) -> None:
        """A late or spare item has a waiter now."""
        self._late.pop(item, None)
        self._spare.pop(item, None)

    def abort(self, item: T) -> None:
        """A running item is being aborted: its slot is promised, and free once it has `ended`."""
        self.revive(item)
        self._leaving.add(item)

    def ended(self, item: T) -> None:
        """A running item's connection is done with: its slot is free."""
        self._running.pop(item, None)
        self.revive(item)
        self._leaving.discard(item)
