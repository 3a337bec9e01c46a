"""Traces: who decides that there is one, what hangs together in it, and what is never in it."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from service.errors import ConfigurationError
from service.generation.engines.completions import StreamedSamples
from service.generation.engines.vllm import VllmEngine
from service.retrieval.indexes.opensearch_client import connect
from service.settings import load_settings
from service.telemetry import Metrics
from service.tracing import UNTRACED, Tracing
from service.wiring import open_tracing
from tests.parts.tracing import Spans, tracing_into
from tests.unit.service.api.fakes import FakeGateway, client_of
from tests.unit.service.generation.engines.fakes import FakeEngine, call, go, running, settle, soon

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{CALLER}-01", f"00-{TRACE}-{CALLER}-00"
MARK = "zqxj"
"""A word that is in everything that callers say."""


@pytest.fixture
def spans() -> Spans:
    return Spans()


def trace_of(span: object) -> str:
    return f"{span.context.trace_id:032x}"  # type: ignore[attr-defined]


# -- who decides


@pytest.mark.parametrize(
    ("traceparent", "trusted", "ratio", "sampled"),
    [
        (None, True, 0.6, True),  # the chance of these tests is 0.5
        (None, True, 0.4, False),
        (SAMPLED, True, 0.0, True),
        (UNSAMPLED, True, 1.0, False),
        (SAMPLED, False, 0.4, False),
        (SAMPLED, False, 0.6, True),
        (UNSAMPLED, False, 1.0, False),
        ("00-nonsense-01", True, 0.4, False),
        (f"00-{TRACE}-{'0' * 16}-01", True, 0.4, False),
    ],
)
def test_trusted_callers_decide_and_others_can_only_prevent(
    spans: Spans, traceparent: str | None, trusted: bool, ratio: float, sampled: bool
) -> None:
    tracing = tracing_into(spans, ratio)
    sent = traceparent.encode() if traceparent else None
    with tracing.request("POST", "/v1/interests", sent, trusted=trusted) as span:
        assert (span.trace_id is not None) == sampled
        assert tracing.trace_id() == span.trace_id
        if sampled and traceparent:
            assert span.trace_id == TRACE
    assert tracing.trace_id() is None


@pytest.mark.parametrize("traceparent", [b"\xff\x00", b"00-" + b"a" * 10_000, b""])
def test_no_header_is_too_odd(spans: Spans, traceparent: bytes) -> None:
    with tracing_into(spans).request("GET", "/", traceparent, trusted=True) as span:
        assert span.trace_id is not None


@pytest.mark.parametrize(("keys", "sampled"), [(True, True), (False, False)])
async def test_a_caller_is_trusted_by_its_key(
    spans: Spans, tmp_path: Path, keys: bool, sampled: bool
) -> None:
    known = {"backend": ("open-sesame", frozenset({"interests"}))} if keys else {}
    gateway = FakeGateway(tmp_path, keys=known, tracing=tracing_into(spans, ratio=0.0))
    headers = {"traceparent": SAMPLED, "x-api-key": "open-sesame"}
    async with gateway.tracing.running(), client_of(gateway.app()) as client:
        answer = await client.post("/v1/interests", json={"user_id": "u"}, headers=headers)
    assert answer.status_code == 200
    assert bool(spans.all) == sampled


# -- what hangs together


async def test_the_stages_are_in_the_callers_trace(spans: Spans, tmp_path: Path) -> None:
    gateway = FakeGateway(tmp_path, tracing=tracing_into(spans))
    signals = [{"domain": "search", "text": "solar ferry"}]
    async with gateway.tracing.running(), client_of(gateway.app()) as client:
        await client.post(
            "/v1/interests",
            json={"user_id": "u", "signals": signals},
            headers={"traceparent": SAMPLED},
        )
    request = spans.one("POST /v1/interests")
    assert f"{request.parent.span_id:016x}" == CALLER
    assert request.attributes["http.response.status_code"] == 200
    stages = {name: spans.one(name) for name in ("signals", "generate", "retrieve", "fuse")}
    for stage in stages.values():
        assert stage.parent.span_id == request.context.span_id
        assert trace_of(stage) == TRACE
    assert stages["signals"].attributes == {"interests.signals": 1}
    assert stages["generate"].attributes == {
        "interests.student": "fake@1",
        "interests.queries_from": "fresh",
        "interests.queries": 1,
    }
    assert stages["fuse"].attributes["interests.candidates_from"] == "search"


async def test_what_failed_is_said_of_its_stage(spans: Spans, tmp_path: Path) -> None:
    gateway = FakeGateway(tmp_path, tracing=tracing_into(spans), with_popular=False)
    gateway.store.broken = gateway.index.broken = True
    signals = [{"domain": "search", "text": "solar ferry"}]
    async with gateway.tracing.running(), client_of(gateway.app()) as client:
        await client.post("/v1/interests", json={"user_id": "u", "signals": signals})
    failed = {span.name: span.attributes.get("interests.failed") for span in spans.all}
    assert failed["signals"] == "signals_unavailable"
    assert failed["retrieve"] == "retrieval_unavailable"
    assert failed["fuse"] == "nothing_to_serve"
    request = spans.one("POST /v1/interests")
    assert request.attributes["http.response.status_code"] == 503
    assert request.status.status_code.name == "ERROR"


async def test_probes_scrapes_and_strangers_are_not_traced(spans: Spans, tmp_path: Path) -> None:
    keys = {"backend": ("open-sesame", frozenset({"metrics"}))}
    gateway = FakeGateway(tmp_path, keys=keys, tracing=tracing_into(spans))
    async with gateway.tracing.running(), client_of(gateway.app()) as client:
        for path in ("/healthz", "/readyz", "/metrics", "/docs"):
            await client.get(path, headers={"x-api-key": "open-sesame", "traceparent": SAMPLED})
        refused = await client.post("/v1/interests", headers={"traceparent": SAMPLED})
    assert refused.status_code == 401
    assert spans.all == []


async def test_a_call_is_in_the_trace_that_brought_it_and_not_in_that_of_who_made_room(
    spans: Spans,
) -> None:
    tracing, engine = tracing_into(spans), FakeEngine()
    metrics = Metrics(CollectorRegistry(), tracing)

    async def ask(number: int) -> str | None:
        with tracing.request("POST", f"/{number}", None, trusted=True) as span:
            await it.complete(call(number), soon(10))
            return span.trace_id

    async with tracing.running(), running(engine, window=1, metrics=metrics) as it:
        asked = [go(ask(number)) for number in (5, 6)]  # type: ignore[arg-type]
        await settle()
        for turn in range(2):
            engine.streams[turn].end("x")
            await settle()
        ids = await asyncio.gather(*asked)
    assert [trace_of(span) for span in spans.named("engine")] == ids
    assert spans.all[0].attributes["interests.student"] == "student"


# -- in and out


@asynccontextmanager
async def parts_behind() -> AsyncIterator[tuple[str, list[str | None]]]:
    """A server that stands for engine and index, and the `traceparent` of each call to it."""
    seen: list[str | None] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.headers.get("traceparent"))
        assert "baggage" not in request.headers
        assert "tracestate" not in request.headers
        if request.path == "/v1/completions":
            return web.Response(text="data: [DONE]\n\n")
        return web.json_response({"responses": []})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/"), seen


async def calls_to(url: str, tracing: Tracing) -> None:
    """A call to an engine and one to an index there."""
    engine, index = VllmEngine(url, tracing=tracing), connect(url)
    await engine.open()
    try:
        await engine.stream(call(1), StreamedSamples(1, 1), lambda: None)
        await index.msearch(body=[{}, {"query": {"match": {"title": MARK}}}])
    finally:
        await engine.close()
        await index.close()


async def test_engine_and_index_are_told_the_trace(spans: Spans) -> None:
    tracing = tracing_into(spans)
    async with parts_behind() as (url, seen), tracing.running():
        with tracing.request("POST", "/v1/interests", SAMPLED.encode(), trusted=True):
            await calls_to(url, tracing)
    calls = spans.named("POST")
    assert seen == [f"00-{TRACE}-{span.context.span_id:016x}-01" for span in calls]
    assert len(seen) == 2
    assert {span.attributes["http.url"] for span in calls} == {url}
    assert MARK not in spans.text()


async def test_of_an_unsampled_request_they_are_told_not_to_sample(spans: Spans) -> None:
    tracing = tracing_into(spans, ratio=0.0)
    async with parts_behind() as (url, seen), tracing.running():
        with tracing.request("POST", "/v1/interests", None, trusted=True):
            await calls_to(url, tracing)
        await calls_to(url, tracing)  # work in the background
    sent = [one.split("-") for one in seen if one]
    assert len(sent) == 4
    assert not any(int(flags, 16) & 1 for _, _, _, flags in sent)
    assert len({trace_id for _, trace_id, _, _ in sent[:2]}) == 1
    assert spans.all == []


async def test_without_tracing_nothing_is_sent_along() -> None:
    async with parts_behind() as (url, seen), UNTRACED.running():
        await calls_to(url, UNTRACED)
    assert seen == [None, None]


# -- what is never in it


async def test_no_span_holds_what_callers_say(spans: Spans, tmp_path: Path) -> None:
    everything = frozenset({"interests", "signals", "delete", "variant", "read", "metrics"})
    keys = {"backend": (f"{MARK}-sesame", everything)}
    gateway = FakeGateway(tmp_path, keys=keys, tracing=tracing_into(spans))
    headers = {"x-api-key": f"{MARK}-sesame", "x-request-id": MARK, "tracestate": f"a={MARK}"}
    headers |= {"traceparent": SAMPLED, "baggage": f"a={MARK}", "user-agent": MARK}
    signals = [{"domain": "search", "text": f"{MARK} ferry", "id": MARK}]
    calls = [
        ("POST", "/v1/interests", {"user_id": MARK, "signals": signals, "explain": True}),
        ("POST", "/v1/interests", {"user_id": MARK, "variant": MARK}),
        ("POST", "/v1/interests", {"user_id": MARK, MARK: MARK}),
        ("POST", "/v1/interests:batch", {"requests": [{"user_id": MARK, "signals": signals}]}),
        ("POST", "/v1/signals", {"user_id": MARK, "signals": signals}),
        ("GET", f"/v1/users/{MARK}/signals?{MARK}={MARK}", None),
        ("DELETE", f"/v1/users/{MARK}", None),
    ]
    async with gateway.tracing.running(), client_of(gateway.app()) as client:
        for method, path, body in calls:
            await client.request(method, path, json=body, headers=headers)
    assert len([span for span in spans.all if span.kind.name == "SERVER"]) == len(calls)
    assert MARK not in spans.text()


async def test_messages_of_errors_and_attributes_of_libraries_stay_here(spans: Spans) -> None:
    tracing = tracing_into(spans)
    from opentelemetry import trace

    def fail() -> None:
        it = trace.get_current_span()
        it.set_attribute("db.statement", f"GET {MARK}")
        it.add_event(MARK, {"exception.message": MARK})
        it.set_status(trace.StatusCode.ERROR, MARK)
        raise ValueError(MARK)

    async with tracing.running():
        with pytest.raises(ValueError, match=MARK), tracing.request("GET", "/", None, trusted=True):
            fail()
    assert spans.one("GET /").attributes["error.type"] == "ValueError"
    assert MARK not in spans.text()


# -- beside it


async def exemplars(tracing: Tracing, tmp_path: Path) -> list[str]:
    gateway = FakeGateway(tmp_path, tracing=tracing)
    async with tracing.running(), client_of(gateway.app()) as client:
        await client.post("/v1/interests", json={"user_id": "u"}, headers={"traceparent": SAMPLED})
    text = generate_latest(gateway.registry).decode()
    return [line.partition("{")[0] for line in text.splitlines() if f'trace_id="{TRACE}"' in line]


async def test_times_lead_to_their_trace_where_there_is_one(spans: Spans, tmp_path: Path) -> None:
    found = await exemplars(tracing_into(spans), tmp_path)
    assert found.count("interests_request_seconds_bucket") == 1
    assert found.count("interests_stage_seconds_bucket") == 4


async def test_times_without_a_trace_lead_nowhere(spans: Spans, tmp_path: Path) -> None:
    assert await exemplars(tracing_into(spans, ratio=0.0), tmp_path) == []


async def test_a_collector_that_takes_nothing_is_said_once_and_its_return_too(
    spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    tracing_into(spans)  # skips where there is no OpenTelemetry
    from service.tracing_export import DiscreetExporter

    exporter = DiscreetExporter(spans, "http://collector")
    with caplog.at_level(logging.INFO, "service"):
        for spans.takes in (False, False, True, True):
            exporter.export([])
    assert [record.getMessage() for record in caplog.records] == [
        "traces are lost: http://collector does not take them",
        "http://collector takes traces again",
    ]


@pytest.mark.parametrize(
    ("given", "sent_to"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
        ("https://collector/otlp/v1/traces", "https://collector/otlp/v1/traces"),
    ],
)
def test_a_collectors_root_is_enough(
    spans: Spans, monkeypatch: pytest.MonkeyPatch, given: str, sent_to: str
) -> None:
    tracing_into(spans)
    monkeypatch.setenv("INTERESTS_TRACING__ENDPOINT", given)
    tracing = open_tracing(load_settings())
    assert tracing.endpoint == sent_to  # type: ignore[attr-defined]


def test_tracing_is_off_by_default() -> None:
    assert open_tracing(load_settings()) is UNTRACED


def test_without_the_extra_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "service.tracing_otel", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.setenv("INTERESTS_TRACING__ENDPOINT", "http://127.0.0.1:4318")
    with pytest.raises(ConfigurationError) as raised:
        open_tracing(load_settings())
    said = str(raised.value)
    assert said.startswith("INTERESTS_TRACING__ENDPOINT needs the extra `tracing`")
    assert "pip install 'interests[tracing]'" in said
    assert "\n" not in said


def test_an_endpoint_that_is_no_url_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERESTS_TRACING__ENDPOINT", "collector:4318")
    with pytest.raises(ConfigurationError, match="INTERESTS_TRACING__ENDPOINT 'collector:4318'"):
        open_tracing(load_settings())
