"""A bounded number of places, and what each caller has of them. It decides in memory, and waits
for nothing.
"""

from __future__ import annotations

from service.errors import Refusal
from service.overload.shares import max_min_shares

_KEPT = 0.95
"""What a caller is still taken to want, a look after it wanted more: half after 14 looks."""
_FORGOTTEN = 0.5
_BEYOND = 1.25
"""How far beyond a soft limit those may go who have less than their share: the others, who have
more than theirs, give their places back as their requests end."""


class Room:
    """Places taken by callers; how many there are is said by whoever asks for some."""

    def __init__(self) -> None:
        self._used = 0
        self._most = 0
        self._held: dict[str, int] = {}
        self._wants: dict[str, float] = {}

    @property
    def used(self) -> int:
        """Places that are taken."""
        return self._used

    @property
    def most(self) -> int:
        """The most that were taken since the last look."""
        return self._most

    def held(self, caller: str) -> int:
        """Places that a caller has."""
        return self._held.get(caller, 0)

    def take(self, caller: str, count: int) -> None:
        """A caller has so many places more."""
        self._used += count
        if self._used > self._most:
            self._most = self._used
        self._held[caller] = self._held.get(caller, 0) + count

    def give_back(self, caller: str, count: int) -> None:
        """A caller has so many places less."""
        self._used -= count
        self._held[caller] -= count

    def look(self) -> None:
        """Some time has passed: what callers wanted once is forgotten little by little."""
        self._most = self._used
        for name, wanted in list(self._wants.items()):
            wants = max(wanted * _KEPT, self._held.get(name, 0))
            if wants < _FORGOTTEN:
                del self._wants[name]
            else:
                self._wants[name] = wants

    def refusal(self, caller: str, count: int, limit: int, *, hard: bool = False) -> Refusal | None:
        """Why a caller gets not so many more of `limit` places; None: it may take them.

        Beyond a limit that is not `hard` may go who has less than its share, by a quarter, and one
        call for many users while half of the places are free.
        """
        after, mine = self._used + count, self._held.get(caller, 0) + count
        if mine > self._wants.get(caller, 0.0):
            self._wants[caller] = mine
        if 2 * after <= limit or (count > 1 and not hard and 2 * self._used <= limit):
            return None
        if after > (limit if hard else _BEYOND * limit + 1):
            return Refusal.LIMIT
        if len(self._wants) == 1:
            return Refusal.LIMIT if after > limit else None
        shares = max_min_shares(limit, self._wants)
        if mine <= max(1.0, shares[caller]):
            return None
        if after > limit:
            return Refusal.LIMIT
        kept = sum(
            max(0.0, share - self._held.get(name, 0))
            for name, share in shares.items()
            if name != caller
        )
        return Refusal.SHARE if after + kept > limit else None
