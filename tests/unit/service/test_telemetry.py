"""What a process says of itself: its metrics, and how they are called."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import choose_encoder

from loadtests.telemetry_cost import LABELS, OF_METRIC
from service.errors import NothingToServe, RetrievalTimeout
from service.records import Degraded, Query, Retrieval, Run
from service.stages import STAGE_REASONS, StageClock
from service.telemetry import Metrics, exposition, process_registry
from tests.parts.metrics import total
from tests.parts.prometheus import program


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text; version=1.0.0"])
def test_a_process_says_what_it_is_and_no_moment_of_creation(accept: str) -> None:
    registry = process_registry("1.2.3")
    Metrics(registry).odd_articles.inc()
    encode, _ = choose_encoder(accept)
    text = encode(registry).decode()
    assert "process_resident_memory_bytes" in text
    assert 'version="1.2.3"' in text
    assert "interests_odd_articles_total 1.0" in text
    assert "_created" not in text


def test_the_page_on_metrics_lists_each_with_its_type_and_meaning() -> None:
    registry = process_registry("1")
    metrics = Metrics(registry)
    page = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
    listed = {
        row[1].strip(" `"): (row[2].strip(), row[4].strip())
        for row in (line.split("|") for line in page.splitlines() if line.startswith("| `"))
    }
    suffix = {"counter": "_total", "info": "_info"}
    there = {
        family.name + suffix.get(family.type, ""): (family.type, family.documentation)
        for family in metrics.registry.collect()
        if family.name.startswith("interests_")
    }
    assert listed == there


def everything() -> str:
    """The text of all metrics, with a series of each."""
    metrics = Metrics(process_registry("1"))
    for metric in vars(metrics).values():
        if names := getattr(metric, "_labelnames", ()):
            metric.labels(*["x" for _ in names])
    return generate_latest(metrics.registry).decode()


def test_promtool_finds_no_fault_with_names_and_units() -> None:
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=everything(),
        text=True,
        capture_output=True,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_names_end_in_a_base_unit_and_counters_in_total() -> None:
    families = {
        line.split()[2]: line.split()[3]
        for line in everything().splitlines()
        if line.startswith("# TYPE interests_")
    }
    assert len(families) > 20
    for name, kind in families.items():
        assert re.fullmatch(r"interests_[a-z]+(_[a-z]+)*", name)
        assert (kind == "counter") == name.endswith("_total")
        assert not re.search(
            r"_(ms|milliseconds|minutes|hours|kb|mb|percent|count|sum|bucket)$", name
        )
        if kind == "histogram":
            assert name.endswith(("_seconds", "_ratio"))


def test_every_reason_in_degraded_belongs_to_a_stage_or_is_no_failure() -> None:
    listed = {reason for reasons in STAGE_REASONS.values() for reason in reasons}
    assert set(Degraded) - listed == {Degraded.NO_SIGNALS, Degraded.NO_CANDIDATES}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def count(metrics: Metrics, name: str, **labels: str) -> float:
    """A metric's value now."""
    return total(generate_latest(metrics.registry).decode(), name, **labels)


@pytest.mark.parametrize(
    ("stage", "error", "reason"),
    [
        ("search", RetrievalTimeout("late"), "retrieval_timeout"),
        ("fuse", NothingToServe("nothing"), "nothing_to_serve"),
        ("fuse", ZeroDivisionError(), "unexpected"),
    ],
)
def test_an_error_that_leaves_a_stage_is_counted_and_goes_on(
    metrics: Metrics, stage: str, error: Exception, reason: str
) -> None:
    clock = StageClock.start()
    with pytest.raises(type(error)), metrics.timed(stage, clock):
        raise error
    assert count(metrics, "interests_stage_errors_total", stage=stage, reason=reason) == 1
    assert count(metrics, "interests_stage_errors_total") == 1
    assert count(metrics, "interests_stage_seconds_count", stage=stage) == 1
    assert set(clock.ms) == {stage}


def test_what_is_no_failure_of_a_stage_is_not_counted(metrics: Metrics) -> None:
    metrics.failed("generate", ["no_signals", "generation_invalid"])
    assert count(metrics, "interests_stage_errors_total") == 1


def test_coverage_counts_queries_and_shards(metrics: Metrics) -> None:
    found, lost = Run(Query("a"), ()), Run(Query("b"), (), ok=False)
    metrics.covered(Retrieval((found, found, lost), shards_ok=3, shards_total=5))
    assert count(metrics, "interests_runs_total", outcome="answered") == 2
    assert count(metrics, "interests_runs_total", outcome="failed") == 1
    assert count(metrics, "interests_shards_total", outcome="answered") == 3
    assert count(metrics, "interests_shards_total", outcome="missing") == 2


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "text/plain;version=0.0.4",
        "text/plain;version=1.0.0;escaping=underscores",
        "application/openmetrics-text",
        "application/openmetrics-text;version=1.0.0",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
        "application/openmetrics-text;version=1.0.0;escaping=values",
    ],
)
def test_no_name_needs_the_escaping_that_is_left_out(accept: str) -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    for metric in vars(metrics).values():
        if names := getattr(metric, "_labelnames", ()):
            metric.labels(*[f'a "{name}"\\\n' for name in names])
    encode, media_type = choose_encoder(accept)
    assert exposition(registry, accept) == (encode(registry), media_type)


def test_the_measurement_of_what_metrics_cost_fills_every_label() -> None:
    labels = {
        metric._name: set(metric._labelnames) - LABELS.keys()
        for metric in vars(Metrics(process_registry("1"))).values()
        if hasattr(metric, "_labelnames")
    }
    assert {name: own for name, own in labels.items() if own} == {
        name: set(values) for name, values in OF_METRIC.items()
    }
    assert {name for values in OF_METRIC.values() for name in values}.isdisjoint(LABELS)


def test_the_measurement_of_what_metrics_cost_names_no_label_in_vain() -> None:
    labels = {
        name
        for metric in vars(Metrics(process_registry("1"))).values()
        for name in getattr(metric, "_labelnames", ())
    }
    assert LABELS.keys() <= labels
