"""Forgetting a user: signals and kept lists first, then events. The one place that knows both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from service.errors import EventsUnavailable
from service.protocols import SignalStore


class Erasing(Protocol):
    """Events, as far as they are of a user."""

    async def erase(self, user_id: str, until: float) -> int:
        """Remove them. Returns how many there were. Raises `EventsUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What there was of the user."""

    signals: bool
    """Whether signals or kept lists were stored."""
    events: int


async def forget(store: SignalStore, events: Erasing, user_id: str, until: float) -> Forgotten:
    """Remove all that is kept of a user by `until`. Doing it again does no harm.

    The tombstone comes first: exports honour it, whatever becomes of the rest. Raises
    `SignalsUnavailable` where nothing was removed, `EventsUnavailable` where events are left.
    """
    had_signals = await store.delete(user_id, until)
    try:
        removed = await events.erase(user_id, until)
    except EventsUnavailable as error:
        raise EventsUnavailable(
            "the user's signals and kept lists are deleted, but exposures or feedback may be left: "
            f"{error}; delete the user again",
            remedy=error.remedy,
        ) from error
    return Forgotten(had_signals, removed)
