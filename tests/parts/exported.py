"""What the code exports to Prometheus: names, labels, and the values of labels that are closed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from service.api.rights import route_label
from service.records import CandidateSource, Degraded, QuerySource
from service.telemetry import Metrics, process_registry

SCRAPED = frozenset({"job", "instance"})
"""Labels that Prometheus puts on everything it scrapes."""
OF_PROMETHEUS: Mapping[str, frozenset[str]] = {
    "up": SCRAPED,
    "ALERTS": frozenset({"alertname", "alertstate", "severity", "burn"}),
}
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}


def exported() -> dict[str, frozenset[str]]:
    """Names of series, as a scrape shows them, and their labels."""
    metrics = Metrics(process_registry("0"))
    found: dict[str, set[str]] = {}
    labels = {name: set(metric._labelnames) for name, metric in _wrapped(metrics)}
    for family in metrics.registry.collect():
        for suffix in _SUFFIXES.get(family.type, ("",)):
            name = family.name + suffix
            found[name] = set(labels.get(family.name, ()))
            found[name] |= {"le"} if suffix == "_bucket" else set()
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return {name: frozenset(those) for name, those in found.items()}


def values(metric: str, label: str) -> Collection[str] | None:
    """The values that a label can have; None where they are not closed."""
    closed: dict[tuple[str, str], Collection[str]] = {
        ("interests_degraded_total", "reason"): list(Degraded),
        ("interests_stage_errors_total", "reason"): _begun(
            "interests_stage_errors_total", "reason"
        ),
        ("interests_queries_total", "source"): list(QuerySource),
        ("interests_candidates_total", "source"): list(CandidateSource),
    }
    if (metric, label) in closed:
        return closed[metric, label]
    if label == "route":
        paths = ("/v1/interests", "/v1/interests:batch", "/v1/signals", "/v1/users/u")
        return {route_label(path) for path in (*paths, "/v1/users/u/signals", "/metrics")}
    if label == "stage":
        return _begun("interests_stage_errors_total", "stage")
    if label == "status":
        return {"200", "204", "401", "422", "429", "499", "500", "503"}
    if label in {"outcome", "kind", "part"}:
        return set(re.findall(r"[a-z]+", _help(metric)))  # the help text lists them
    return None


def _begun(metric: str, label: str) -> set[str]:
    """Values of a label that there are from the start."""
    families = Metrics(CollectorRegistry()).registry.collect()
    samples = (sample for family in families for sample in family.samples)
    return {sample.labels[label] for sample in samples if sample.name == metric}


def _help(metric: str) -> str:
    families = Metrics(CollectorRegistry()).registry.collect()
    (text,) = (family.documentation for family in families if metric.startswith(family.name))
    return text


def _wrapped(metrics: Metrics) -> list[tuple[str, MetricWrapperBase]]:
    every = (one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase))
    return [(one._name, one) for one in every]
