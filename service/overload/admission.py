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
from service.overload.gradient import GradientLimit
from service.overload.saving import smoothed
from service.overload.shares import max_min_shares

_KEPT = 0.95
"""What a caller is still taken to want, a look after it wanted more: half after 14 looks."""
_FORGOTTEN = 0.5
_BEYOND = 1.25
"""How far beyond the limit those may go who have less than their share: the others, who have more
than theirs, give their places back as their requests end."""


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
        self._limit = rule.beginning if rule else float(capacity)
        self._refused = refused
        self._in_flight = 0
        self._aside = 0
        self._most = 0
        self._pressure = 0.0
        self._held: dict[str, int] = {}
        self._wants: dict[str, float] = {}

    @property
    def in_flight(self) -> int:
        """Requests that are in work now, those aside among them."""
        return self._in_flight + self._aside

    @property
    def limit(self) -> int:
        """Places in all, now."""
        return int(self._limit)

    @property
    def aside(self) -> int:
        """Requests in work that hold no place now."""
        return self._aside

    @property
    def pressure(self) -> float:
        """The share of the places that was taken of late; 1 where requests are refused."""
        return self._pressure

    def require_room(self, caller: str = "") -> None:
        """Raise `Overloaded` where `caller` would get no place, without taking one."""
        self._require(caller, 1)

    def permit(self, count: int = 1, caller: str = "") -> Permit:
        """Hold `count` places for a block. Entering it raises `Overloaded` when they are taken."""
        return Permit(self, count, caller)

    def take(self, caller: str, count: int) -> None:
        """Take places. Raises `Overloaded` when so many are not free."""
        self._require(caller, count)
        self._in_flight += count
        if self._in_flight > self._most:
            self._most = self._in_flight
        self._held[caller] = self._held.get(caller, 0) + count

    def give_back(self, caller: str, count: int) -> None:
        """Give places back that were taken."""
        self._in_flight -= count
        self._held[caller] -= count

    @contextmanager
    def standing_aside(self) -> Iterator[None]:
        """Hold no place for the block, in which the task's request waits for another part."""
        caller = _caller.get()
        held = self._held.get(caller, 0)
        if not held:  # nobody let it in: it is a test's, or another main's
            yield
            return
        self._held[caller] = held - 1
        self._in_flight -= 1
        self._aside += 1
        try:
            yield
        finally:
            self._held[caller] += 1
            self._in_flight += 1
            self._aside -= 1
            self._most = max(self._most, self._in_flight)

    def look(self, wait_s: float) -> None:
        """Some time has passed, in which requests waited `wait_s` to compute, on average."""
        most, self._most = max(self._most, self._in_flight), self._in_flight
        if self._rule is not None:
            self._limit = self._rule.next(self._limit, wait_s, most)
        taken = max(most / max(1, self.limit), self.in_flight / self._capacity)
        self._pressure = smoothed(self._pressure, min(1.0, taken))
        for name, wanted in list(self._wants.items()):
            wants = max(wanted * _KEPT, self._held.get(name, 0))
            if wants < _FORGOTTEN:
                del self._wants[name]
            else:
                self._wants[name] = wants

    def _require(self, caller: str, count: int) -> None:
        after, limit = self._in_flight + count, int(self._limit)
        mine = self._held.get(caller, 0) + count
        if mine > self._wants.get(caller, 0.0):
            self._wants[caller] = mine
        if after + self._aside > self._capacity:
            self._refuse(Refusal.LIMIT, count)
        # Many users in one call may be more than the limit: they are let in while there is room.
        if after <= limit / 2 or (count > 1 and 2 * self._in_flight <= limit):
            return
        if len(self._wants) == 1:
            if after > limit:
                self._refuse(Refusal.LIMIT, count)
            return
        shares = max_min_shares(limit, self._wants)
        if mine <= max(1.0, shares[caller]):
            if after > _BEYOND * limit + 1:
                self._refuse(Refusal.LIMIT, count)
            return
        kept = sum(
            max(0.0, share - self._held.get(name, 0))
            for name, share in shares.items()
            if name != caller
        )
        if after > limit:
            self._refuse(Refusal.LIMIT, count)
        if after + kept > limit:
            self._refuse(Refusal.SHARE, count)

    def _refuse(self, reason: Refusal, count: int) -> None:
        self._refused(reason)
        whose = "your share of them is taken" if reason is Refusal.SHARE else "too few are free"
        raise Overloaded(f"{count} of {self.limit} places asked for, {whose}")
