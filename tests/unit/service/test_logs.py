"""The lines of a process's log."""

from __future__ import annotations

import logging

import orjson

from service.logs import JsonFormatter


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
