"""The kinds of expressions that the dashboards are made of."""

from __future__ import annotations

from deploy.grafana.panels import Query

RATE = "[$__rate_interval]"
ANSWERS = 'route=~"/v1/interests(:batch)?"'


def rate_of(metric: str, by: str = "", labels: str = "") -> str:
    """A counter's increase a second, all gateways together."""
    grouped = f"sum by ({by})" if by else "sum"
    return f"{grouped} (rate({metric}{{{labels}}}{RATE}))"


def quantiles(histogram: str, labels: str = "") -> tuple[Query, ...]:
    """The median and the slowest twentieth and hundredth of a histogram."""
    buckets = rate_of(f"{histogram}_bucket", "le", labels)
    parts = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    return tuple(Query(f"histogram_quantile({part}, {buckets})", name) for name, part in parts)


def p95_by(histogram: str, by: str) -> Query:
    """The slowest twentieth of a histogram, for each value of a label."""
    buckets = rate_of(f"{histogram}_bucket", f"le, {by}")
    return Query(f"histogram_quantile(0.95, {buckets})", f"{{{{{by}}}}}")


def share(part: str, whole: str, legend: str = "") -> Query:
    """One expression over another."""
    return Query(f"{part}\n/ {whole}", legend)
