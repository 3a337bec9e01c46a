"""Metrics and stage timing. No user id and no query text becomes a label."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Collection, Iterable
from types import TracebackType
from typing import TypeVar, cast

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
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.exposition import ALLOWUTF8

from service.records import Placement, Retrieval
from service.stages import STAGE_REASONS, StageClock, reason_of
from service.telemetry_engines import OUTCOMES, EngineSeries
from service.tracing import UNTRACED, Span, Tracing

Metric = TypeVar("Metric", Counter, Histogram)

_LATENCY = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075),
    *(0.01, 0.015, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.15, 0.2, 0.3, 0.5, 0.75),
    *(1.0, 2.0, 5.0, 10.0, 30.0),
)
"""Seconds. Close together where deadlines and the stages' usual times are."""
_PAUSE = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_FILL = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


class Metrics:
    """Every metric of the gateway, on a registry that is passed in (so tests have their own)."""

    def __init__(self, registry: CollectorRegistry, tracing: Tracing = UNTRACED) -> None:
        """`tracing` makes a span of each stage that is timed."""
        self.registry = registry
        self.tracing = tracing
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
        self._series: dict[tuple[object, ...], object] = {}
        self.stage = Histogram(
            "interests_stage_seconds",
            "Time in a stage of the pipeline.",
            ["stage"],
            buckets=_LATENCY,
            registry=registry,
        )
        self.stage_errors = Counter(
            "interests_stage_errors_total",
            "What went wrong in a stage of the pipeline: it gave nothing, or not the whole.",
            ["stage", "reason"],
            registry=registry,
        )
        for stage, reasons in STAGE_REASONS.items():
            for reason in reasons:  # at 0 from the start: a rate sees the first one, too
                self.stage_errors.labels(stage, reason)
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
        self.experiment_assigned = Counter(
            "interests_experiment_assigned_total",
            "Answers by experiment, assigned arm, and what was served.",
            ["experiment", "arm", "served"],
            registry=registry,
        )
        self.shadows = Counter(
            "interests_shadow_total",
            "Answers to users of a shadow arm, by what became of it: done, skipped, failed.",
            ["experiment", "arm", "outcome"],
            registry=registry,
        )
        self.experiments_file_ok = Gauge(
            "interests_experiments_file_ok",
            "1 while what the file of experiments holds is in use, 0 while the last good one is.",
            registry=registry,
        )
        self.experiments_file_ok.set(1)  # where there is no file nothing is wrong with it
        self.experiment_overlay = Gauge(
            "interests_experiment_overlay",
            "1 while an experiment of the file is not as the file says: pause, ramp or stop, and by"
            " whom: hand, watcher.",
            ["experiment", "action", "by"],
            registry=registry,
        )
        self.experiments_overlay_age = Gauge(
            "interests_experiments_overlay_age_seconds",
            "Time since what was done to experiments by hand was last read.",
            registry=registry,
        )
        self.students_file_ok = Gauge(
            "interests_students_file_ok",
            "1 while what the file of students holds is in use, 0 while the last good one is.",
            registry=registry,
        )
        self.students_file_ok.set(1)
        self.runs = Counter(
            "interests_runs_total",
            "Queries to search, by outcome: answered, failed.",
            ["outcome"],
            registry=registry,
        )
        self.shards = Counter(
            "interests_shards_total",
            "Shards of the index that an answer needed, by outcome: answered, missing.",
            ["outcome"],
            registry=registry,
        )
        self.engine_running = Gauge(
            "interests_engine_calls_in_flight",
            "Calls in flight.",
            ["student", "engine"],
            registry=registry,
        )
        self.engine_waiting = Gauge(
            "interests_engine_calls_queued",
            "Calls waiting.",
            ["student", "engine"],
            registry=registry,
        )
        self.engine_up = Gauge(
            "interests_engine_up",
            "1 while the engine is in service: 0 also on trial, after it refused its calls.",
            ["student", "engine"],
            registry=registry,
        )
        self.engine_room = Gauge(
            "interests_engine_room",
            "Calls that the engine is given at once: its window, or fewer while it is busy.",
            ["student", "engine"],
            registry=registry,
        )
        self.engine_calls = Counter(
            "interests_engine_calls_total",
            f"Calls by outcome: {', '.join(OUTCOMES)}.",
            ["student", "engine", "outcome"],
            registry=registry,
        )
        self.engine_queued = Histogram(
            "interests_engine_queue_seconds",
            "Time in the queue, of the calls that were begun.",
            ["student", "engine"],
            buckets=_LATENCY,
            registry=registry,
        )
        self.engine_took = Histogram(
            "interests_engine_call_seconds",
            "Time from a call's start on the engine to its end, whatever its end.",
            ["student", "engine"],
            buckets=_LATENCY,
            registry=registry,
        )
        self.engine_fill = Histogram(
            "interests_engine_batch_fill_ratio",
            "Calls in flight over the engine's room, as each call begins, itself included.",
            ["student", "engine"],
            buckets=_FILL,
            registry=registry,
        )
        self.engines = EngineSeries(
            running=self.engine_running,
            waiting=self.engine_waiting,
            room=self.engine_room,
            up=self.engine_up,
            histograms=(self.engine_queued, self.engine_took, self.engine_fill),
            calls=self.engine_calls,
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

        self.events_written = Counter(
            "interests_events_written_total",
            "Events that Redis has acknowledged, by kind: exposure, shadow, end.",
            ["kind"],
            registry=registry,
        )
        self.events_dropped = Counter(
            "interests_events_dropped_total",
            "Events that were lost because Redis took none for too long, by kind.",
            ["kind"],
            registry=registry,
        )
        self.feedback = Counter(
            "interests_feedback_total",
            "Feedback received, by kind and outcome: stored, repeated, refused.",
            ["kind", "outcome"],
            registry=registry,
        )

        self.secrets_valid = Gauge(
            "interests_secrets_valid",
            "Secrets that are valid at once, of a caller's key or of what signs request ids.",
            ["setting"],
            registry=registry,
        )
        self.secret_file_ok = Gauge(
            "interests_secret_file_ok",
            "1 while what the file of a secret holds is in use, 0 while the last good one is.",
            ["setting"],
            registry=registry,
        )
        self.loop_lag = Histogram(
            "interests_event_loop_lag_seconds",
            "How late a timer of the event loop fired; it is set ten times a second.",
            buckets=_PAUSE,
            registry=registry,
        )
        self.gc_pause = Histogram(
            "interests_gc_pause_seconds",
            "Time that a garbage collection stopped everything.",
            ["generation"],
            buckets=_PAUSE,
            registry=registry,
        )

    def timed(self, stage: str, clock: StageClock | None = None) -> Timed:
        """Time a stage into the histogram and into the request's own clock, and trace it.

        An error that leaves the block is counted as the stage's.
        """
        return Timed(self, stage, clock)

    def series(self, metric: Metric, *labels: object) -> Metric:
        """`metric.labels(…)`, which takes longer by itself than all else that is counted."""
        key = (metric, *labels)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = metric.labels(*labels)
        return cast(Metric, series)

    def failed(self, stage: str, reasons: Collection[str]) -> None:
        """Count what went wrong in a stage. What `STAGE_REASONS` does not list is no failure."""
        if not reasons:
            return
        known = [reason for reason in reasons if reason in STAGE_REASONS[stage]]
        for reason in known:
            self.stage_errors.labels(stage, reason).inc()
        if known:
            self.tracing.note(failed=",".join(known))

    def covered(self, retrieval: Retrieval) -> None:
        """Count how much of what was asked for the index has answered."""
        answered = sum(run.ok for run in retrieval.runs)
        self.series(self.runs, "answered").inc(answered)
        self.series(self.runs, "failed").inc(len(retrieval.runs) - answered)
        self.series(self.shards, "answered").inc(retrieval.shards_ok)
        self.series(self.shards, "missing").inc(retrieval.shards_total - retrieval.shards_ok)

    def placed(self, places: Iterable[Placement]) -> None:
        """Count a user's places in experiments."""
        for place in places:
            self.series(self.experiment_assigned, place.key, place.assigned, place.served).inc()

    def collected(self, generation: int, seconds: float) -> None:
        """Count a garbage collection."""
        self.gc_pause.labels(generation).observe(seconds)


class Timed:
    """A block that is timed as a stage; it is given the stage's span."""

    # A class, since a generator takes three times as long, and a request has four stages.
    __slots__ = ("_clock", "_metrics", "_span", "_stage", "_started", "_tracing")

    def __init__(self, metrics: Metrics, stage: str, clock: StageClock | None) -> None:
        self._metrics = metrics
        self._stage = stage
        self._clock = clock
        self._tracing = metrics.tracing.span(stage)

    def __enter__(self) -> Span:
        self._started = time.perf_counter()
        self._span = self._tracing.__enter__()
        return self._span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        metrics, stage = self._metrics, self._stage
        if isinstance(error, Exception):
            metrics.failed(stage, [reason_of(error)])
        seconds = time.perf_counter() - self._started
        metrics.series(metrics.stage, stage).observe(seconds, exemplar_of(self._span.trace_id))
        if self._clock is not None:
            self._clock.add(stage, seconds)
        self._tracing.__exit__(kind, error, trace)


def exposition(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """All metrics in the format that a caller accepts, and its media type."""
    encode, media_type = choose_encoder(accept)
    if media_type.endswith(("escaping=dots", "escaping=values")):
        return encode(registry), media_type
    # Our names are legal everywhere: without escaping they are the same, in half of the time.
    unescaped = cast(Callable[..., bytes], encode)
    return unescaped(registry, escaping=ALLOWUTF8), media_type


def exemplar_of(trace_id: str | None) -> dict[str, str] | None:
    """What leads from a time in a histogram to its trace, where there is one (OpenMetrics)."""
    return {"trace_id": trace_id} if trace_id else None


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
