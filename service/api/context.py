"""What the routes need, put together by `service/app.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from service.limits import Admission
from service.pace import Pace
from service.pipeline import InterestPipeline
from service.protocols import SignalStore
from service.telemetry import Metrics

Check = Callable[[float], Awaitable[None]]
"""Returns when a part is fine, by the given moment on the loop's clock; raises what is wrong."""

_CHECK_S = 1.0


@dataclass(slots=True)
class Readiness:
    """Whether this process should get traffic.

    It becomes ready once every part in `gating` has been fine at the same time, and stays so until
    it drains: a part that dies later must not take every replica out of rotation at once, when each
    of them could still answer from a lower rung (docs/decisions/2026-11-22-readiness-latches.md).
    """

    checks: Mapping[str, Check]
    gating: frozenset[str]
    draining: bool = False
    _was_ready: bool = field(default=False)

    async def look(self) -> tuple[bool, dict[str, str]]:
        """Ready or not, and the present state of each part."""
        until = asyncio.get_running_loop().time() + _CHECK_S
        said = await asyncio.gather(*(_state(check, until) for check in self.checks.values()))
        states = dict(zip(self.checks, said, strict=True))
        if all(states[name] == "ok" for name in self.gating):
            self._was_ready = True
        return self._was_ready and not self.draining, states


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of a running gateway, as routes see them."""

    pipeline: InterestPipeline
    store: SignalStore
    admission: Admission
    pace: Pace
    metrics: Metrics
    registry: CollectorRegistry
    readiness: Readiness
    students: Sequence[Callable[[], Mapping[str, Any]]]


async def _state(check: Check, until: float) -> str:
    try:
        async with asyncio.timeout_at(until):
            await check(until)
    except TimeoutError:
        return f"no answer within {_CHECK_S:g} s"
    except Exception as error:  # whatever a part raises is its state
        return str(error) or type(error).__name__
    return "ok"
