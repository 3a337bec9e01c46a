"""Whether this process should get traffic, and how the parts behind it are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping

from service.api.discreet import without_hosts
from service.records import Degraded
from service.telemetry import Metrics

log = logging.getLogger(__name__)

Check = Callable[[float], Awaitable[None]]
"""Returns when a part is fine, by the given moment on the loop's clock; raises what is wrong."""

_CHECK_S = 1.0
_PART_OF: Mapping[str, str] = {
    Degraded.SIGNALS_UNAVAILABLE: "redis",
    Degraded.RETRIEVAL_UNAVAILABLE: "index",
    Degraded.RETRIEVAL_TIMEOUT: "index",
    Degraded.GENERATION_UNAVAILABLE: "student",
    Degraded.GENERATION_TIMEOUT: "student",
    Degraded.ENCODER_UNAVAILABLE: "encoder",
}
"""Which part a reason in `degraded` speaks of."""


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
        self._met: dict[str, str] = {}
        """The last request that has met each part's fault since the part was last seen fine."""

    def met(self, reasons: Iterable[str], request_id: str) -> None:
        """A request was degraded or refused for these reasons: the log names it with the part."""
        for reason in reasons:
            if part := _PART_OF.get(reason):
                self._met[part] = request_id

    async def look(self, request_id: str | None = None) -> tuple[bool, dict[str, str]]:
        """Ready or not, and of each part `ok` or what is wrong, without names of hosts.

        `request_id`: of the request that asks, where one does.
        """
        until = asyncio.get_running_loop().time() + _CHECK_S
        found = await asyncio.gather(*(_fault(check, until) for check in self._checks.values()))
        faults = dict(zip(self._checks, found, strict=True))
        for part, fault in faults.items():
            self._note(part, fault, request_id)
        if not any(faults[part] for part in self._gating):
            self._was_ready = True
        states = {part: without_hosts(fault) or "ok" for part, fault in faults.items()}
        return self._was_ready and not self.draining, states

    def _note(self, part: str, fault: str, request_id: str | None) -> None:
        """Set the part's gauge, and say in the log that it has gone or come back.

        The line carries the id of a request that has seen it, where there is one.
        """
        up = not fault
        self._metrics.part_up.labels(part).set(up)
        met = self._met.pop(part, None)
        if self._up.get(part) is not up:
            self._up[part] = up
            seen = request_id if up else met or request_id
            extra = {"fields": {"request_id": seen}} if seen else None
            if up:
                log.info("%s is up", part, extra=extra)
            else:
                log.warning("%s is down: %s", part, fault, extra=extra)


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
