"""JSON logs. No user id and no query text becomes a part of a line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import orjson


def _no_trace() -> None:
    return None


class JsonFormatter(logging.Formatter):
    """One JSON object a line; what was given as `extra={"fields": {...}}` is merged in.

    `trace_id` tells the sampled trace that a line belongs to, None where there is none.
    """

    def __init__(self, trace_id: Callable[[], str | None] = _no_trace) -> None:
        super().__init__()
        self._trace_id = trace_id

    def format(self, record: logging.LogRecord) -> str:
        """Render a record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if trace_id := self._trace_id():
            line["trace_id"] = trace_id
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line.update(fields)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure_logging(level: str, trace_id: Callable[[], str | None] = _no_trace) -> None:
    """Send JSON lines to standard error. Called by mains only, never at import."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(trace_id))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # opensearch-py logs request bodies, so query texts, when asked for much, and a traceback for
    # each lost connection when asked for less; what matters of it reaches us as an exception.
    logging.getLogger("opensearch").setLevel(logging.ERROR)
