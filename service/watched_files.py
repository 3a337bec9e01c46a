"""Files that change while the gateway runs, read again when they do.

What a file holds is taken once two looks in a row have seen the same in it, so that one half
written is not. What cannot be used is said once, and the last good one goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

Held = TypeVar("Held")


@dataclass(slots=True)
class WatchedFile(Generic[Held]):
    """A file, what of it is in use, and what is done with something else in it."""

    name: str
    """What logs call it."""
    read: Callable[[], Held]
    """What the file holds now; raises `ValueError`. Called in a thread of its own."""
    take: Callable[[Held], None]
    """Puts something else to use; raises `ValueError`, and changes nothing, where that cannot be.
    Called again at each look, as long as the file stays: what is in its way may go."""
    used: Held
    """What is in use."""
    show: Callable[[Held, str], None]
    """Told after each look what is in use, and why the file cannot be (empty: it is)."""
    told: Callable[[Held], str]
    """What a log may say of it."""
    seen: Held | None = None
    """What the last look saw, where it is not in use."""
    wrong: str = ""
    """Why the file cannot be used; empty while it can."""

    async def look(self) -> None:
        """Read the file, and take what has stayed the same since the look before."""
        wrong = ""
        try:
            self._use(await asyncio.to_thread(self.read))
        except ValueError as error:
            wrong = str(error)
        if wrong and wrong != self.wrong:
            log.warning("%s cannot be used, the last good one goes on: %s", self.name, wrong)
        if self.wrong and not wrong:
            log.info("%s can be used again", self.name)
        self.wrong = wrong
        self.show(self.used, wrong)

    def _use(self, found: Held) -> None:
        if found == self.used:
            self.seen = None
        elif found != self.seen:
            self.seen = found
        else:
            self.take(found)
            self.used, self.seen = found, None
            log.info("%s was read again: %s", self.name, self.told(found))
