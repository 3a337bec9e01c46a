"""What the routes need, put together by `service/app.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from service.api.readiness import Readiness
from service.experiments.live import LiveExperiments
from service.limits import Admission
from service.pace import Pace
from service.pipeline import InterestPipeline
from service.protocols import SignalStore
from service.telemetry import Metrics


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
    experiments: LiveExperiments
    students: Callable[[], Sequence[Mapping[str, Any]]]
    """Those of the moment."""
