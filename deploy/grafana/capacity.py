"""The dashboard of capacity: how full engines and gateways are, and what an answer costs."""

from __future__ import annotations

from deploy.grafana.panels import Dashboard, Panel, Query, Row
from deploy.grafana.queries import RATE, p95_by, rate_of, share

_GATEWAYS = "and on (job, instance) interests_build_info"

CAPACITY = Dashboard(
    "capacity",
    "interests: capacity",
    "How full the engines and the gateways are, and what an answer costs.",
    (
        Row(
            "Engines, as the gateways see them",
            (
                Panel(
                    "Full",
                    "Calls in flight, of those that the engine is given at once. Above four fifths"
                    " for long, calls begin to wait: InterestsEnginesNearCapacity.",
                    (
                        Query(
                            "sum by (engine) (interests_engine_calls_in_flight)\n"
                            "/ sum by (engine) (interests_engine_room)",
                            "{{engine}}",
                        ),
                    ),
                    unit="percentunit",
                    steps=(0.8, 1.0),
                ),
                Panel(
                    "Waiting",
                    "Calls that wait before each engine; the setting `queue` bounds them.",
                    (Query("sum by (engine) (interests_engine_calls_queued)", "{{engine}}"),),
                ),
                Panel(
                    "In service",
                    "1 while every gateway gives the engine calls.",
                    (Query("min by (engine) (interests_engine_up)", "{{engine}}"),),
                ),
                Panel(
                    "Time in the queue, p95",
                    "Of the calls that were begun. It takes from the time that the student has.",
                    (p95_by("interests_engine_queue_seconds", "engine"),),
                    unit="s",
                ),
                Panel(
                    "Time of a call, p95",
                    "From its start on the engine to its end, whatever its end.",
                    (p95_by("interests_engine_call_seconds", "engine"),),
                    unit="s",
                ),
                Panel(
                    "Batch fill as calls begin",
                    "Mean of the calls in flight over the room. Low: the engine could do more.",
                    (
                        share(
                            rate_of("interests_engine_batch_fill_ratio_sum", "engine"),
                            rate_of("interests_engine_batch_fill_ratio_count", "engine"),
                            "{{engine}}",
                        ),
                    ),
                    unit="percentunit",
                ),
                Panel(
                    "Room",
                    "Calls that the engine is given at once: its window; fewer after it was busy.",
                    (Query("sum by (engine) (interests_engine_room)", "{{engine}}"),),
                ),
                Panel(
                    "Calls that found no room",
                    "shed: dropped from the queue. busy: turned away by the engine. timeout:"
                    " nothing came in time.",
                    (
                        Query(
                            rate_of(
                                "interests_engine_calls_total",
                                "engine, outcome",
                                'outcome=~"shed|busy|timeout|failed"',
                            ),
                            "{{engine}} {{outcome}}",
                        ),
                    ),
                    unit="reqps",
                ),
                Panel(
                    "Refused at the door",
                    "Requests with 429, by gateway.",
                    (
                        Query(
                            rate_of("interests_requests_total", "instance", 'status="429"'),
                            "{{instance}}",
                        ),
                    ),
                    unit="reqps",
                ),
            ),
        ),
        Row(
            "Engines, as vLLM sees itself (where Prometheus scrapes it)",
            (
                Panel(
                    "Running and waiting",
                    "Waiting for long: the window before this engine is larger than its batch.",
                    (
                        Query(
                            "sum by (instance) (vllm:num_requests_running)", "{{instance}} running"
                        ),
                        Query(
                            "sum by (instance) (vllm:num_requests_waiting)", "{{instance}} waiting"
                        ),
                    ),
                ),
                Panel(
                    "KV cache in use",
                    "Near 100 % sequences are pushed out and computed again.",
                    (Query("max by (instance) (vllm:kv_cache_usage_perc)", "{{instance}}"),),
                    unit="percentunit",
                    steps=(0.9, 0.98),
                ),
                Panel(
                    "Time to the first token, p95",
                    "Grows with prompts that wait.",
                    (p95_by("vllm:time_to_first_token_seconds", "instance"),),
                    unit="s",
                ),
            ),
        ),
        Row(
            "Gateways",
            (
                Panel(
                    "Cores in use",
                    "An event loop has one core; the embedded index and encoder have threads.",
                    (Query(f"rate(process_cpu_seconds_total{RATE}) {_GATEWAYS}", "{{instance}}"),),
                ),
                Panel(
                    "Lag of the event loop, p99",
                    "Above some tens of milliseconds all requests wait for one that computes.",
                    (
                        Query(
                            "histogram_quantile(0.99, "
                            + rate_of("interests_event_loop_lag_seconds_bucket", "le, instance")
                            + ")",
                            "{{instance}}",
                        ),
                    ),
                    unit="s",
                ),
                Panel(
                    "CPU for an answer",
                    "Seconds of CPU of all gateways, for each answer of any route.",
                    (
                        share(
                            f"sum (rate(process_cpu_seconds_total{RATE}) {_GATEWAYS})",
                            rate_of("interests_requests_total"),
                            "seconds",
                        ),
                    ),
                    unit="s",
                ),
                Panel(
                    "Memory",
                    "Resident memory of each gateway.",
                    (Query(f"process_resident_memory_bytes {_GATEWAYS}", "{{instance}}"),),
                    unit="bytes",
                ),
                Panel(
                    "Open files",
                    "Of those allowed. At 100 % no connection is accepted.",
                    (Query(f"process_open_fds / process_max_fds {_GATEWAYS}", "{{instance}}"),),
                    unit="percentunit",
                    steps=(0.8, 0.95),
                ),
                Panel(
                    "Stopped by garbage collections",
                    "Share of the time that each gateway stood still for them.",
                    (Query(rate_of("interests_gc_pause_seconds_sum", "instance"), "{{instance}}"),),
                    unit="percentunit",
                ),
            ),
        ),
    ),
)
