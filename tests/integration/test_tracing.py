"""A request's trace through the real parts: what is in it, and that no text is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.app import create_app
from service.manifest import load_manifest
from service.settings import Settings
from tests.parts.redis import RedisServer
from tests.parts.simulator import simulator
from tests.parts.tracing import Spans, tracing_into

pytestmark = [pytest.mark.redis, pytest.mark.timeout(120)]

MARK = "zqxjword"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def settings(demo_index: Path, built_student: Path) -> Iterator[Settings]:
    manifest = built_student / "student.yaml"
    redis = RedisServer().start()
    try:
        with simulator("--model", load_manifest(manifest).key) as engine:
            yield Settings(
                redis_url=redis.url,
                data_dir=demo_index,
                students={"main": {"manifest": manifest, "engines": (engine.url,)}},  # type: ignore[dict-item]
                keys={"backend": {"secret": f"{MARK}-key", "rights": ("interests", "signals")}},  # type: ignore[dict-item]
            )
    finally:
        redis.close()


async def test_a_trace_spans_gateway_redis_and_engine_and_holds_no_text(settings: Settings) -> None:
    spans = Spans()
    tracing = tracing_into(spans, ratio=0.0)  # by the caller's word alone
    app = create_app(settings, tracing=tracing)
    transport = httpx.ASGITransport(app)
    headers = {"x-api-key": f"{MARK}-key"}
    events = [
        {"at": f"2026-01-0{day}T00:00:00Z", "domain": "search", "text": f"{MARK} ferry {day}"}
        for day in range(1, 4)
    ]
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=transport, base_url="http://gateway", headers=headers
        ) as client,
    ):
        async with asyncio.timeout(60):
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.1)
        stored = await client.post("/v1/signals", json={"user_id": MARK, "signals": events})
        assert stored.json()["stored"] == 3
        answer = await client.post(
            "/v1/interests",
            json={"user_id": MARK, "timeout_ms": 20_000},
            headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
        )
        assert answer.json()["source"]["queries"] == "fresh"
    assert {f"{span.context.trace_id:032x}" for span in spans.all} == {TRACE}
    by_id = {span.context.span_id: span.name for span in spans.all}
    parents = {(span.name, by_id.get(span.parent.span_id, "the caller")) for span in spans.all}
    assert parents >= {
        ("POST /v1/interests", "the caller"),
        ("signals", "POST /v1/interests"),
        ("generate", "POST /v1/interests"),
        ("retrieve", "POST /v1/interests"),
        ("fuse", "POST /v1/interests"),
        ("EVALSHA", "signals"),
        ("engine", "generate"),
        ("POST", "engine"),
        ("search", "retrieve"),
    }
    assert MARK not in spans.text()
    assert len(json.loads(spans.one("signals").to_json())["attributes"]) == 1
