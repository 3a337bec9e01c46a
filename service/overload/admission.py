"""Who is let in: places for requests in work, their number, and each caller's share of them.

Try-acquire or refuse: nobody waits for a place. A request that waits for an engine stands aside: it
holds no place meanwhile, so that a slow engine takes none from requests that need none. It takes
its place again without asking, and those who come find fewer.

All of it runs on the event loop's thread between two awaits, and the clock is somebody else's:
`look` closes the time since the look before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType

from service.errors import Overloaded, Refusal
from service.overload.gradient import UNKNOWN, GradientLimit, Usual
from service.overload.room import Room
from service.overload.saving import smoothed

_caller: ContextVar[str] = ContextVar("caller", default="")
"""Whose request the running task works on."""


class Permit:
    """Places that are held for a block."""

    __slots__ = ("_admission", "_caller", "_count")

    def __init__(self, admission: Admission, count: int, caller: str) -> None:
        self._admission = admission
        self._count = count
        self._caller = caller

    def __enter__(self) -> None:
        """Take them. Raises `Overloaded` when so many are not free."""
        self._admission.take(self._caller, self._count)
        _caller.set(self._caller)  # each request has a task of its own

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give them back."""
        self._admission.give_back(self._caller, self._count)


class Admission:
    """Places for requests: as many as `rule` says, and those aside: together at most `capacity`."""

    def __init__(
        self,
        capacity: int,
        rule: GradientLimit | None = None,
        refused: Callable[[Refusal], None] = lambda reason: None,
    ) -> None:
        """Without a `rule` the limit is the capacity. `refused` is told of each refusal."""
        self._capacity = capacity
        self._rule = rule
        self._limit = rule.at_rest() if rule else float(capacity)
        self._refused = refused
        self._places = Room()
        self._all = Room()
        self._pressure = 0.0

    @property
    def in_flight(self) -> int:
        """Requests that are in work now, those aside among them."""
        return self._all.used

    @property
    def aside(self) -> int:
        """Requests in work that hold no place now."""
        return self._all.used - self._places.used

    @property
    def limit(self) -> int:
        """Places in all, now."""
        return int(self._limit)

    @property
    def pressure(self) -> float:
        """The share of the places that was taken of late; 1 where requests are refused."""
        return self._pressure

    def require_room(self, caller: str = "", count: int = 1) -> None:
        """Raise `Overloaded` where `caller` would not get so many places, without taking any."""
        reason = self._all.refusal(caller, count, self._capacity, hard=True)
        if reason is None:
            reason = self._places.refusal(caller, count, int(self._limit))
        if reason is not None:
            self._refused(reason)
            whose = "your share of them is taken" if reason is Refusal.SHARE else "too few are free"
            raise Overloaded(f"{count} of {self.limit} places asked for, {whose}")

    def permit(self, count: int = 1, caller: str = "") -> Permit:
        """Hold `count` places for a block. Entering it raises `Overloaded` when they are taken."""
        return Permit(self, count, caller)

    def take(self, caller: str, count: int) -> None:
        """Take places. Raises `Overloaded` when so many are not free."""
        self.require_room(caller, count)
        self._all.take(caller, count)
        self._places.take(caller, count)

    def give_back(self, caller: str, count: int) -> None:
        """Give places back that were taken."""
        self._all.give_back(caller, count)
        self._places.give_back(caller, count)

    @contextmanager
    def standing_aside(self) -> Iterator[None]:
        """Hold no place for the block, in which the task's request waits for another part."""
        caller = _caller.get()
        if not self._places.held(caller):  # nobody let it in: it is a test's, or another main's
            yield
            return
        self._places.give_back(caller, 1)
        try:
            yield
        finally:
            self._places.take(caller, 1)

    def look(self, wait_s: float, usual: Usual = UNKNOWN) -> None:
        """Some time has passed, in which requests waited `wait_s` to compute, on average."""
        most = self._places.most
        if self._rule is not None:
            self._limit = self._rule.next(self._limit, wait_s, most, usual)
        taken = max(most / max(1, self.limit), self._all.used / self._capacity)
        self._pressure = smoothed(self._pressure, min(1.0, taken))
        self._places.look()
        self._all.look()
