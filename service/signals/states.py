"""Users' states by the bytes that they were read from: what Redis sends again is not read again.

The key is a digest of the bytes, so a state that was kept is never an old one: whatever changes in
Redis arrives as other bytes. A user whose kept list is used again comes with the same bytes, unless
another gateway answered the time before. A digest, since comparing the bytes themselves would
fetch them from where no processor cache has them any more, and that costs as much as reading them.
"""

from __future__ import annotations

import hashlib
import marshal
from collections import OrderedDict

from service.records import UserState
from service.signals.codec import read_state

MOST_BYTES = 4_000_000
"""Bytes as they came from Redis, of some 700 users with 50 signals. What is made of them takes
three times as many."""

_MOST_STATES = 10_000
"""States without signals take next to no bytes of Redis, and still some of ours."""


class States:
    """The states read last, at most `most_bytes` of them (0: none); least recently used first out.

    Deleting a user takes nothing out of here: what was kept is no longer asked for, and gives way.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._read: OrderedDict[bytes, tuple[UserState, int]] = OrderedDict()

    def read(
        self,
        signals: list[bytes],
        lists: list[bytes],
        tombstone: bytes,
        wrong: int,
        read_at_ms: int,
    ) -> UserState:
        """`read_state` of what `scripts.GET` returned."""
        # Version 2 writes the same bytes for the same values: later ones refer back to what they
        # have written, and whether they do depends on who else holds a value.
        packed = marshal.dumps((signals, lists, tombstone, wrong), 2)
        key = hashlib.blake2b(packed, digest_size=16).digest()
        known = self._read.get(key)
        if known is not None:
            self._read.move_to_end(key)
            state, _ = known
            return UserState(state.signals, state.kept, state.corrupt, read_at_ms)
        state = read_state(signals, lists, tombstone, wrong, read_at_ms)
        self._read[key] = state, len(packed)
        self._bytes += len(packed)
        while self._bytes > self._most_bytes or len(self._read) > _MOST_STATES:
            _, (_, size) = self._read.popitem(last=False)
            self._bytes -= size
        return state
