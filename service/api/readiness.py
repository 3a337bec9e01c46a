"""Whether this process should get traffic, and how the parts behind it are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from service.api.discreet import without_hosts
from service.telemetry import Metrics

log = logging.getLogger(__name__)

Check = Callable[[float], Awaitable[None]]
"""Returns when a part is fine, by the given moment on the loop's clock; raises what is wrong."""

_CHECK_S = 1.0


class Readiness:
    """Looks at the parts: ready or not, a gauge for each part, a line in the log at each change.

    It becomes ready once every part in `gating` has been fine at the same time, and stays so until
    it drains: a part that dies later must not take every replica out of rotation at once, when each
    of them could still answer from a lower rung (docs/decisions/2026-11-22-readiness-latches.md).
    """

    def __init__(
        self, checks: Mapping[str, Check], gating: frozenset[str], metrics: Metrics
    ) -> None:
        self.draining = False
        self._checks = checks
        self._gating = gating
        self._metrics = metrics
        self._was_ready = False
        self._up: dict[str, bool] = {}

    async def look(self) -> tuple[bool, dict[str, str]]:
        """Ready or not, and of each part `ok` or what is wrong, without names of hosts."""
        until = asyncio.get_running_loop().time() + _CHECK_S
        found = await asyncio.gather(*(_fault(check, until) for check in self._checks.values()))
        faults = dict(zip(self._checks, found, strict=True))
        for part, fault in faults.items():
            self._note(part, fault)
        if not any(faults[part] for part in self._gating):
            self._was_ready = True
        states = {part: without_hosts(fault) or "ok" for part, fault in faults.items()}
        return self._was_ready and not self.draining, states

    def _note(self, part: str, fault: str) -> None:
        """Set the part's gauge, and say in the log that it has gone or come back."""
        up = not fault
        self._metrics.part_up.labels(part).set(up)
        if self._up.get(part) is not up:
            self._up[part] = up
            if up:
                log.info("%s is up", part)
            else:
                log.warning("%s is down: %s", part, fault)


async def _fault(check: Check, until: float) -> str:
    """What is wrong with a part; empty where nothing is."""
    try:
        async with asyncio.timeout_at(until):
            await check(until)
    except TimeoutError:
        return f"no answer within {_CHECK_S:g} s"
    except Exception as error:  # whatever a part raises is its state
        return str(error) or type(error).__name__
    return ""
