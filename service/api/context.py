"""What the routes need, put together by `service/app.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client import CollectorRegistry

from service.api.readiness import Readiness
from service.events.feedback import Outcome, Taken
from service.experiments.live import LiveExperiments
from service.identity import Identity
from service.overload.admission import Admission
from service.pace import Pace
from service.pipeline import InterestPipeline
from service.protocols import SignalStore
from service.shadows import Shadows
from service.telemetry import Metrics


class EventStore(Protocol):
    """Where feedback goes. `take` and `erase` raise `EventsUnavailable`."""

    @property
    def on(self) -> bool:
        """Whether events are kept at all."""
        ...

    async def take(self, events: Sequence[Taken], until: float) -> list[Outcome]:
        """Store feedback; says what became of each event, once all is acknowledged."""
        ...

    async def erase(self, user_id: str, until: float) -> int:
        """Remove a user's events. Returns how many there were."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of a running gateway, as routes see them."""

    pipeline: InterestPipeline
    shadows: Shadows
    store: SignalStore
    events: EventStore
    event_days: int
    """Days that feedback on an answer is taken."""
    identity: Identity
    admission: Admission
    pace: Pace
    metrics: Metrics
    registry: CollectorRegistry
    readiness: Readiness
    experiments: LiveExperiments
    students: Callable[[], Sequence[Mapping[str, Any]]]
    """Those of the moment."""
