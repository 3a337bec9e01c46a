"""Metrics, stage timing and JSON logs. No user id and no query text becomes a label or a line."""

from __future__ import annotations

import logging
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

_LATENCY = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2),
    *(0.5, 1.0, 2.0, 5.0, 10.0, 30.0),
)


class Metrics:
    """Every metric of the gateway, on a registry that is passed in (so tests have their own)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Counter(
            "interests_requests_total",
            "Answers by route and status.",
            ["route", "status"],
            registry=registry,
        )
        self.latency = Histogram(
            "interests_request_seconds",
            "Time from the first byte to the answer.",
            ["route"],
            buckets=_LATENCY,
            registry=registry,
        )
        self.stage = Histogram(
            "interests_stage_seconds",
            "Time in a stage of the pipeline.",
            ["stage"],
            buckets=_LATENCY,
            registry=registry,
        )
        self.in_flight = Gauge("interests_in_flight", "Requests in work now.", registry=registry)
        self.overrun = Histogram(
            "interests_deadline_overrun_seconds",
            "How long after its deadline an answer was ready (0 when in time).",
            buckets=(0.0, 0.001, 0.005, 0.01, 0.05, 0.1, 1.0),
            registry=registry,
        )
        self.queries_from = Counter(
            "interests_queries_total",
            "Answers by the rung that the queries came from.",
            ["student", "source"],
            registry=registry,
        )
        self.candidates_from = Counter(
            "interests_candidates_total",
            "Answers by the rung that the candidates came from.",
            ["source"],
            registry=registry,
        )
        self.degraded = Counter(
            "interests_degraded_total",
            "Answers by each reason in `degraded`.",
            ["reason"],
            registry=registry,
        )
        self.engine_running = Gauge(
            "interests_engine_calls_in_flight", "Calls in flight.", ["engine"], registry=registry
        )
        self.engine_waiting = Gauge(
            "interests_engine_calls_queued", "Calls waiting.", ["engine"], registry=registry
        )
        self.engine_up = Gauge(
            "interests_engine_up",
            "1 while the engine is in service: 0 also on trial, after it refused its calls.",
            ["engine"],
            registry=registry,
        )
        self.engine_room = Gauge(
            "interests_engine_room",
            "Calls that the engine is given at once: its window, or fewer while it is busy.",
            ["engine"],
            registry=registry,
        )
        self.engine_calls = Counter(
            "interests_engine_calls_total",
            "Calls by outcome: done, late, cut, busy, shared, aborted, shed, timeout, failed.",
            ["engine", "outcome"],
            registry=registry,
        )
        self.tokens = Counter(
            "interests_tokens_total",
            "Tokens by kind: prompt, cached (of the prompt), output.",
            ["student", "kind"],
            registry=registry,
        )
        self.cache = Counter(
            "interests_query_cache_total",
            "Look-ups of the query-result cache: hit, miss, shared.",
            ["outcome"],
            registry=registry,
        )
        self.encoded = Counter(
            "interests_encoder_cache_total",
            "Texts to encode: hit (the vector is kept), miss.",
            ["outcome"],
            registry=registry,
        )
        self.part_up = Gauge(
            "interests_part_up",
            "1 while a part (redis, index, student, encoder) answers its check.",
            ["part"],
            registry=registry,
        )
        self.index_node_up = Gauge(
            "interests_index_node_up",
            "1 while one of several OpenSearch nodes is used, 0 while it is left alone.",
            ["node"],
            registry=registry,
        )
        self.odd_articles = Counter(
            "interests_odd_articles_total",
            "Hits that are not as they should be: fields, an id too long, an article twice;"
            " what could be was used.",
            registry=registry,
        )
        self.signals_written = Counter(
            "interests_signals_written_total",
            "Signals received: stored, repeated or dropped.",
            ["outcome"],
            registry=registry,
        )

    @contextmanager
    def timed(self, stage: str, clock: StageClock) -> Iterator[None]:
        """Time a stage into the histogram and into the request's own clock."""
        started = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - started
            self.stage.labels(stage).observe(seconds)
            clock.add(stage, seconds)


def process_registry(version: str) -> CollectorRegistry:
    """A registry with what is known of this process: `process_*`, `python_gc_*`, its version.

    It is for a process's own metrics, since it turns off the `_created` series that
    prometheus_client adds to each counter and histogram, everywhere in the process.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    build = Info("interests_build", "What is running.", registry=registry)
    build.info({"version": version, "python": platform.python_version()})
    return registry


@dataclass(slots=True)
class StageClock:
    """Milliseconds per stage of one request, and since the clock was started."""

    ms: dict[str, float]
    started: float

    @classmethod
    def start(cls) -> StageClock:
        """A clock that starts now."""
        return cls({}, time.perf_counter())

    def elapsed_ms(self) -> float:
        """Milliseconds since the start. Not the loop's clock: uvloop's has whole milliseconds."""
        return (time.perf_counter() - self.started) * 1000

    def add(self, stage: str, seconds: float) -> None:
        """Add time to a stage."""
        self.ms[stage] = self.ms.get(stage, 0.0) + seconds * 1000


class JsonFormatter(logging.Formatter):
    """One JSON object a line; what was given as `extra={"fields": {...}}` is merged in."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line.update(fields)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure_logging(level: str) -> None:
    """Send JSON lines to standard error. Called by mains only, never at import."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # opensearch-py logs request bodies, so query texts, when asked for much, and a traceback for
    # each lost connection when asked for less; what matters of it reaches us as an exception.
    logging.getLogger("opensearch").setLevel(logging.ERROR)
