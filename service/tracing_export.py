"""What of a span leaves this process: an allowlist, whatever the libraries put into it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

log = logging.getLogger(__name__)

OURS = "interests."
"""How the names of our own attributes begin."""
_SENT = frozenset(
    {
        "http.request.method",
        "http.route",
        "http.response.status_code",
        "error.type",
        # what the instrumentation of aiohttp and of Redis says, less what could hold a text
        "http.method",
        "http.status_code",
        "http.url",
        "db.system",
        "db.redis.database_index",
        "net.peer.name",
        "net.peer.port",
        "server.address",
        "server.port",
    }
)
"""Attributes that leave this process, beside our own; whatever a library adds is left out."""


class DiscreetExporter:
    """Hands spans on without whatever could hold a text: messages of errors, commands, statements.

    It says once when the collector does not take them, and once when it does again.
    """

    def __init__(self, inner: Any, endpoint: str) -> None:
        self._inner = inner
        self._endpoint = endpoint
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; called from the processor's own thread."""
        result: SpanExportResult = self._inner.export([_discreet(span) for span in spans])
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self._failing:
            log.warning("traces are lost: %s does not take them", self._endpoint)
        elif self._failing and not failing:
            log.info("%s takes traces again", self._endpoint)
        self._failing = failing
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until all is sent."""
        return bool(self._inner.force_flush(timeout_millis))


def _discreet(span: ReadableSpan) -> ReadableSpan:
    attributes = span.attributes or {}
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes={k: v for k, v in attributes.items() if k in _SENT or k.startswith(OURS)},
        kind=span.kind,
        status=trace.Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
