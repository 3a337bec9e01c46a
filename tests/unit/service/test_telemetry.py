"""What a process says of itself: its registry and the lines of its log."""

from __future__ import annotations

import logging
from pathlib import Path

import orjson
import pytest
from prometheus_client.exposition import choose_encoder

from service.telemetry import JsonFormatter, Metrics, process_registry


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


def test_a_line_of_the_log_is_json_with_an_iso_time() -> None:
    record = logging.LogRecord("a.logger", logging.WARNING, "", 0, "%s is down", ("redis",), None)
    record.created = 1_790_000_000.1239
    record.fields = {"request_id": "r1"}
    line = orjson.loads(JsonFormatter().format(record))
    assert line.pop("time") == "2026-09-21T14:13:20.123+00:00"
    assert line == {
        "level": "warning",
        "logger": "a.logger",
        "message": "redis is down",
        "request_id": "r1",
    }


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
