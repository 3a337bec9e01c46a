"""Where spans go in tests, instead of to a collector."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

from service.tracing import Tracing
from tests.parts.require import missing_part


class Spans:
    """An exporter that keeps what would have been sent. Read it when `running` has ended."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self.takes = True

    def export(self, spans: Sequence[Any]) -> Any:
        from opentelemetry.sdk.trace.export import SpanExportResult

        self.all += spans if self.takes else ()
        return SpanExportResult.SUCCESS if self.takes else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def named(self, name: str) -> list[Any]:
        """The spans with this name."""
        return [span for span in self.all if span.name == name]

    def one(self, name: str) -> Any:
        """The only span with this name."""
        (span,) = self.named(name)
        return span

    def names(self) -> list[str]:
        """Of all, in order."""
        return sorted(span.name for span in self.all)

    def text(self) -> str:
        """All that would leave the process, as JSON."""
        return "\n".join(span.to_json() for span in self.all)


def tracing_into(
    spans: Spans, ratio: float = 1.0, chance: Callable[[], float] = lambda: 0.5
) -> Tracing:
    """Real OpenTelemetry whose spans end in `spans`."""
    if importlib.util.find_spec("opentelemetry") is None:
        missing_part("opentelemetry", "make tracing, or pip install 'interests[tracing]'")
    from service.tracing_otel import OpenTelemetryTracing

    return OpenTelemetryTracing(
        "http://nowhere:4318/v1/traces",
        ratio=ratio,
        name="interests",
        version="1",
        exporter=spans,
        chance=chance,
    )
