"""The metrics of engines: series that come with a student's engine, and go when it is closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from prometheus_client import Counter, Gauge, Histogram

OUTCOMES = ("done", "late", "cut", "busy", "shared", "aborted", "shed", "timeout", "failed")
"""How a call ends."""


class EngineLoad(NamedTuple):
    """How an engine stands at this moment."""

    running: int
    waiting: int
    room: int
    """Calls that it is given at once."""
    up: bool


class EngineSeries:
    """Every series with the labels `student` and `engine`.

    A student whose settings have changed has its last calls under the old ones and its new calls on
    the same engine for a while. So the gauges of an engine show all that is `shown` of it, and its
    series end with the last of it.
    """

    def __init__(
        self,
        *,
        running: Gauge,
        waiting: Gauge,
        room: Gauge,
        up: Gauge,
        histograms: Sequence[Histogram],
        calls: Counter,
    ) -> None:
        self._running, self._waiting, self._room, self._up = running, waiting, room, up
        self._histograms = histograms
        self._calls = calls
        self._shown: dict[tuple[str, str], list[Callable[[], EngineLoad]]] = {}

    def show(self, student: str, engine: str, load: Callable[[], EngineLoad]) -> None:
        """Show an engine's load for as long as it is not hidden."""
        of = (student, engine)
        shown = self._shown.setdefault(of, [])
        shown.append(load)
        if len(shown) > 1:
            return
        self._running.labels(*of).set_function(lambda: sum(one().running for one in shown))
        self._waiting.labels(*of).set_function(lambda: sum(one().waiting for one in shown))
        self._room.labels(*of).set_function(lambda: max(one().room for one in shown))
        self._up.labels(*of).set_function(lambda: any(one().up for one in shown))
        for histogram in self._histograms:
            histogram.labels(*of)  # at 0 from the start: a rate sees the first one, too

    def hide(self, student: str, engine: str, load: Callable[[], EngineLoad]) -> None:
        """Show this load no more; with the last of an engine all its series end."""
        shown = self._shown.get((student, engine), [])
        if load not in shown:
            return
        shown.remove(load)
        if shown:
            return
        del self._shown[student, engine]
        gauges = (self._running, self._waiting, self._room, self._up)
        for metric in (*gauges, *self._histograms):
            metric.remove(student, engine)
        for outcome in OUTCOMES:
            self._calls.remove(student, engine, outcome)
