"""Traces by OpenTelemetry, sent over OTLP: what `INTERESTS_TRACING__ENDPOINT` turns on.

The libraries come with the extra `tracing`; this module is imported only where traces are sent.
Redis' and aiohttp's own instrumentation makes the spans of calls to Redis, OpenSearch and an
encoder's server, and adds `traceparent` to those by HTTP; the engines' client asks for both itself.
The request's span is made here: the instrumentation of ASGI would record paths, which hold user
ids.

https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

import aiohttp
from opentelemetry import context as contexts
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, SamplingResult
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.tracing import NO_SPAN, NoSpan, Span, Value
from service.tracing_export import OURS, DiscreetExporter

_SEND_S = 5.0
_LAST_SEND_S = 2.0
"""How long the end of the process waits for the spans that are left."""


class OpenTelemetryTracing:
    """Sends sampled spans to an OTLP collector, in the background."""

    def __init__(
        self,
        endpoint: str,
        *,
        ratio: float,
        name: str,
        version: str,
        exporter: Any = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`endpoint`: the URL that takes spans. `ratio`: of requests that are sampled.

        `name` and `version` are the service's. `exporter`: another than OTLP's, for tests.
        """
        sampler: Any = _AsDecided()
        resource = Resource.create({"service.name": name, "service.version": version})
        self.provider = TracerProvider(sampler=sampler, resource=resource)
        sending: Any = DiscreetExporter(
            exporter or OTLPSpanExporter(endpoint=endpoint, timeout=_SEND_S), endpoint
        )
        self.provider.add_span_processor(BatchSpanProcessor(sending))
        self._tracer = self.provider.get_tracer("interests", version)
        self._propagator = TraceContextTextMapPropagator()
        self._ids = RandomIdGenerator()
        self.endpoint = endpoint
        self._ratio = ratio
        self._chance = chance

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Instrument the clients that are made in the block; send what is left at its end."""
        # Baggage would be passed on otherwise, and that is text.
        propagate.set_global_textmap(self._propagator)
        # It says each batch that could not be sent, with its trace; the exporter says it once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        redis, http = RedisInstrumentor(), AioHttpClientInstrumentor()
        redis.instrument(tracer_provider=self.provider)
        told = aiohttp.TraceConfig()
        told.on_request_start.append(_tell_unsampled)
        http.instrument(tracer_provider=self.provider, url_filter=_origin, trace_configs=[told])
        try:
            yield
        finally:
            http.uninstrument()
            redis.uninstrument()
            await asyncio.to_thread(self.provider.force_flush, int(_LAST_SEND_S * 1000))
            await asyncio.to_thread(self.provider.shutdown)

    def request(
        self, method: str, route: str, traceparent: bytes | None, *, trusted: bool
    ) -> _Open | _Unsampled:
        """The span of a request; see `Tracing.request`."""
        parent = self._parent(traceparent)
        if not self._samples(parent, trusted):
            number = parent.trace_id if parent else self._ids.generate_trace_id()
            ours = trace.SpanContext(number, self._ids.generate_span_id(), is_remote=False)
            return _Unsampled(trace.NonRecordingSpan(ours))
        around = contexts.Context()
        if parent:
            around = trace.set_span_in_context(trace.NonRecordingSpan(parent), around)
        span = self._tracer.start_span(
            f"{method} {route}",
            around,
            kind=trace.SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": route},
        )
        return _Open(span)

    def span(self, name: str) -> _Open | NoSpan:
        """A part of the work, where the request is sampled."""
        if not trace.get_current_span().is_recording():
            return NO_SPAN
        return _Open(self._tracer.start_span(name))

    def call(self, method: str, server: str) -> _Open | NoSpan:
        """A call by HTTP, told as the instrumentation of aiohttp tells its own."""
        if not trace.get_current_span().is_recording():
            return NO_SPAN
        about = {"http.method": method, "http.url": server}
        kind = trace.SpanKind.CLIENT
        return _Open(self._tracer.start_span(method, kind=kind, attributes=about))

    def headers(self) -> dict[str, str]:
        """`traceparent`: where nothing is recorded it says so, lest the server records."""
        carrier: dict[str, str] = {}
        around = None
        if not trace.get_current_span().get_span_context().is_valid:
            unsampled = trace.SpanContext(
                self._ids.generate_trace_id(), self._ids.generate_span_id(), is_remote=False
            )
            around = trace.set_span_in_context(trace.NonRecordingSpan(unsampled))
        self._propagator.inject(carrier, around)
        return carrier

    def note(self, **values: Value) -> None:
        """`Span.note` of the innermost span."""
        _note(trace.get_current_span(), values)

    def trace_id(self) -> str | None:
        """The sampled trace that the running code belongs to."""
        return _trace_id(trace.get_current_span())

    def _parent(self, traceparent: bytes | None) -> trace.SpanContext | None:
        if traceparent is None:
            return None
        # `tracestate` is left behind: it is the caller's text.
        carrier = {"traceparent": traceparent.decode("latin-1")}
        found = self._propagator.extract(carrier, contexts.Context())
        parent = trace.get_current_span(found).get_span_context()
        return parent if parent.is_valid else None

    def _samples(self, parent: trace.SpanContext | None, trusted: bool) -> bool:
        if parent is not None and (trusted or not parent.trace_flags.sampled):
            return bool(parent.trace_flags.sampled)
        # By chance and not by the trace's id, which the caller has chosen.
        return self._chance() < self._ratio


class _Open:
    """A span that is recorded for its block."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._token: Any = None

    @property
    def trace_id(self) -> str | None:
        return _trace_id(self._span)

    def note(self, **values: Value) -> None:
        _note(self._span, values)

    def __enter__(self) -> Span:
        self._token = contexts.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._span.set_status(trace.StatusCode.ERROR)
            self._span.set_attribute("error.type", kind.__name__)
        contexts.detach(self._token)
        self._span.end()


class _Unsampled:
    """The span of a request that is not recorded: it tells the parts behind not to, either.

    The libraries' instrumentation is off in it: their part of the work for a span that is then
    dropped would be most of what tracing costs.
    """

    trace_id = None

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._token: Any = None

    def note(self, **values: Value) -> None:
        """Forget it."""

    def __enter__(self) -> Span:
        self._token = contexts.attach(trace.set_span_in_context(self._span))
        self._quiet = suppress_instrumentation()
        self._quiet.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._quiet.__exit__(None, None, None)
        contexts.detach(self._token)


class _AsDecided:
    """Records the requests that `OpenTelemetryTracing.request` begins, and what is within them.

    So work in the background, such as looks at the parts, makes no traces.
    """

    def should_sample(
        self,
        parent_context: contexts.Context | None,
        trace_id: int,
        name: str,
        kind: trace.SpanKind | None = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: Any = None,
        **more: Any,
    ) -> SamplingResult:
        parent = trace.get_current_span(parent_context).get_span_context()
        if kind is trace.SpanKind.SERVER or parent.trace_flags.sampled:
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
        return SamplingResult(Decision.DROP)

    def get_description(self) -> str:
        return "AsDecided"


def _note(span: trace.Span, values: dict[str, Value]) -> None:
    if span.is_recording():
        status = values.pop("status_code", None)
        if isinstance(status, int):
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(trace.StatusCode.ERROR)
        span.set_attributes({OURS + name: value for name, value in values.items()})


def _trace_id(span: trace.Span) -> str | None:
    context = span.get_span_context()
    return trace.format_trace_id(context.trace_id) if context.trace_flags.sampled else None


async def _tell_unsampled(session: Any, about: Any, call: aiohttp.TraceRequestStartParams) -> None:
    """Add `traceparent` to a call of a request that is not sampled, in which nobody else does."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid and not context.trace_flags.sampled:
        propagate.inject(call.headers)


def _origin(url: Any) -> str:
    """Of a yarl.URL: scheme, host and port."""
    return str(url.origin())
