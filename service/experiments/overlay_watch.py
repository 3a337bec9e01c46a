"""Following the overlay: looked at every second, and the last good one kept without Redis."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from service.errors import OverlayUnavailable
from service.experiments.live import LiveExperiments
from service.experiments.overlay import Overlay, strangers
from service.repeating import Repeating

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""Between two looks, and the most that one of them takes."""

Read = Callable[[float], Awaitable[Overlay]]
Show = Callable[[LiveExperiments, float], None]


@asynccontextmanager
async def following_overlay(live: LiveExperiments, read: Read, show: Show) -> AsyncIterator[None]:
    """Lay what `read` gives over the experiments for as long as the block lasts.

    The first look is over before the block begins, or a gateway that starts would enrol users in
    what is paused. Without Redis it begins all the same, by the file alone. `show` is told after
    each look, with the seconds since the overlay was last read, or since the start.
    """
    watch = _Watch(live, read, show)
    with contextlib.suppress(OverlayUnavailable):  # the next look says it
        await watch.look()
    looking = Repeating(
        watch.look, LOOK_S, "reading the overlay of experiments", (OverlayUnavailable,)
    )
    looking.start()
    try:
        yield
    finally:
        await looking.stop()


class _Watch:
    """The looks at an overlay."""

    def __init__(self, live: LiveExperiments, read: Read, show: Show) -> None:
        self._live = live
        self._read = read
        self._show = show
        self._loop = asyncio.get_running_loop()
        self._read_at = self._loop.time()
        self._ignored: list[str] = []

    async def look(self) -> None:
        """Read it, and use it if it has changed. Raises `OverlayUnavailable`."""
        began = self._loop.time()
        self._live.overlay_ok = False
        try:
            overlay = self._whole(await self._read(began + LOOK_S))
            self._live.overlay_ok = True
            self._read_at = began
        finally:
            self._show(self._live, self._loop.time() - self._read_at)
        if overlay != self._live.overlay:
            self._tell_changes(overlay)
            self._live.lay(overlay)
            self._show(self._live, self._loop.time() - self._read_at)
        ignored = [*strangers(self._live.checked.experiments, overlay), *overlay.unreadable]
        if ignored and ignored != self._ignored:
            names = ", ".join(ignored)
            log.warning(
                "the overlay has what the file lacks or nobody can read, left out: %s", names
            )
        self._ignored = ignored

    def _whole(self, found: Overlay) -> Overlay:
        """Where what was done cannot be read, what was known before stands."""
        before = self._live.overlay.actions
        kept = {key: before[key] for key in found.unreadable if key in before}
        return replace(found, actions={**kept, **found.actions})

    def _tell_changes(self, overlay: Overlay) -> None:
        before, known = self._live.overlay.actions, self._live.checked.experiments.by_key()
        for key, action in overlay.actions.items():
            if key in known and action != before.get(key):
                log.info("experiment %s: %s", key, action.told())
        for key in before.keys() - overlay.actions.keys():
            log.info("experiment %s: nothing done by hand is known any more", key)
