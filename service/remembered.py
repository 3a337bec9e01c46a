"""What was made of the very same objects before, so that it is not made again.

A user who asks again within a minute has the same signals, the same list, the same hits: not equal
ones but the same objects, since each part that keeps something hands out what it keeps. So a look
at their identities, which costs less than a microsecond, stands for a comparison of what they hold.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Made = TypeVar("Made")
Given = TypeVar("Given")

MOST = 1_000
"""Entries of one memory: those who ask again and again. They hold some 25 KB each at the most."""
_MOST_MADE = 500


class Remembered(Generic[Made]):
    """Results by the identity of some objects and the value of others; the least used goes first.

    The objects are held for as long as their entry, so that no other can have their identity. They
    must not change. For one thread.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[tuple[object, ...], Made]] = OrderedDict()

    def get(self, same: tuple[object, ...], equal: Hashable = None) -> Made | None:
        """What was put for these very objects, and for a value equal to `equal`."""
        key = (*map(id, same), equal)
        entry = self._kept.get(key)
        if entry is None:
            return None
        self._kept.move_to_end(key)
        return entry[1]

    def put(self, made: Made, same: tuple[object, ...], equal: Hashable = None) -> None:
        """Keep a result."""
        self._kept[(*map(id, same), equal)] = same, made
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


def remembered(make: Callable[[Given], Made], most: int = _MOST_MADE) -> Callable[[Given], Made]:
    """`make`, which is pure, not called again for an object that it was called for."""
    kept: Remembered[Made] = Remembered(most)

    def made(given: Given) -> Made:
        found = kept.get((given,))
        if found is None:
            found = make(given)
            kept.put(found, (given,))
        return found

    return made
