"""`python -m deploy.grafana.preview URL FOLDER`: every panel's queries asked of a real Prometheus.

It writes a page for each dashboard into the folder, for a browser. It is no Grafana: it shows that
the queries give what the panels say, not how Grafana draws them.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from deploy.grafana.build import DASHBOARDS
from deploy.grafana.drawing import Series, named_by, page
from deploy.grafana.panels import Dashboard, Query
from service.files import whole_file

_POINTS = 120


@dataclass(frozen=True, slots=True)
class Span:
    """What is shown: seconds since 1970, and the range that stands for `$__rate_interval`."""

    start: float
    end: float
    rate: str


def ask(client: httpx.Client, query: Query, span: Span) -> list[Series]:
    """The series of a query over a span. Raises `httpx.HTTPError`."""
    expression = query.expression.replace("$__rate_interval", span.rate).replace("$student", ".*")
    step = (span.end - span.start) / _POINTS
    times = {"start": span.start, "end": span.end, "step": step}
    answer = client.get("/api/v1/query_range", params={"query": expression, **times})
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    series = (Series(named_by(query.legend, one["metric"]), _points(one)) for one in found)
    return sorted((one for one in series if one.points), key=lambda one: one.name)


def asked(client: httpx.Client, dashboard: Dashboard, span: Span) -> dict[str, list[Series]]:
    """The series of each panel, by its title."""
    return {
        panel.title: [series for query in panel.queries for series in ask(client, query, span)]
        for row in dashboard.rows
        for panel in row.panels
    }


def _points(result: dict[str, Any]) -> tuple[tuple[float, float], ...]:
    pairs = ((float(moment), float(value)) for moment, value in result["values"])
    return tuple((moment, value) for moment, value in pairs if math.isfinite(value))


def main() -> None:
    """Ask and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url", help="Prometheus, e.g. http://127.0.0.1:9090")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", default="1m", help="for $__rate_interval: four scrapes or more")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    end = time.time()
    span = Span(end - given.minutes * 60, end, given.rate)
    with httpx.Client(base_url=given.url, timeout=30) as client:
        for dashboard in DASHBOARDS:
            text = page(dashboard, asked(client, dashboard, span), span.start, span.end)
            with whole_file(given.folder / f"{dashboard.name}.html") as file:
                file.write(text.encode())


if __name__ == "__main__":
    main()
