"""A real Prometheus over a real gateway that is asked for more than it can do.

The windows of burn rates are hours and days long, so Prometheus is given a copy of the rules whose
windows and waiting times are divided by `FASTER`; nothing else of them is changed.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from service.manifest import load_manifest
from tests.parts.gateway import Gateway, running_gateway
from tests.parts.prometheus import FASTER, RULES, hastened, running_prometheus
from tests.parts.redis import RedisServer
from tests.parts.simulator import simulator

pytestmark = [pytest.mark.redis, pytest.mark.timeout(180)]

CALM_S, OVERLOAD_S = 8.0, 15.0
PLACES = 8
TIMEOUT_MS = 3_000


@contextmanager
def asking(gateway: Gateway, callers: int, pause_s: float) -> Iterator[Counter[int]]:
    """So many callers at once, each with a pause after its answer; the statuses they got."""
    statuses: Counter[int] = Counter()
    over = threading.Event()

    def call(caller: int) -> None:
        with httpx.Client(base_url=gateway.url, timeout=30) as client:
            asked = 0
            while not over.is_set():
                asked += 1
                text = f"electric ferry battery trial {caller} {asked}"  # no list is there for it
                event = {"at": datetime.now(UTC).isoformat(), "domain": "search", "text": text}
                body = {"user_id": f"u{caller}", "signals": [event], "timeout_ms": TIMEOUT_MS}
                statuses[client.post("/v1/interests", json=body).status_code] += 1
                over.wait(pause_s)

    with ThreadPoolExecutor(callers) as pool:
        calls = [pool.submit(call, number) for number in range(callers)]
        try:
            yield statuses
        finally:
            over.set()
    for done in calls:
        done.result()


def test_a_calm_service_fires_nothing_and_an_overloaded_one_the_page_about_refusals_alone(
    demo_index: Path, redis_server: RedisServer, built_student: Path, tmp_path: Path
) -> None:
    manifest = built_student / "student.yaml"
    rules = hastened(RULES.read_text(encoding="utf-8"), FASTER)
    with simulator("--model", load_manifest(manifest).key, "--step-ms", "2") as engine:
        settings = {
            "REDIS_URL": redis_server.url,
            "STUDENTS__MAIN__MANIFEST": str(manifest),
            "STUDENTS__MAIN__ENGINES": json.dumps([engine.url]),
            "MAX_IN_FLIGHT": str(PLACES),
        }
        with running_gateway(demo_index, settings) as gateway:
            for part in ("student", "index", "redis"):
                gateway.wait_for(part)
            gateway.interests("first", timeout_ms=30_000)
            target = gateway.url.removeprefix("http://")
            with running_prometheus(tmp_path, rules, [target]) as prometheus:
                prometheus.wait_for('interests_part_up{part="redis"} == 1')
                # Before its first scrape Prometheus has seen no gateway.
                prometheus.wait_for("absent(ALERTS)")

                began = time.time()
                with asking(gateway, callers=3, pause_s=0.1) as statuses:
                    time.sleep(CALM_S)
                assert set(statuses) == {200}
                assert prometheus.fired(began, time.time()) == set()

                engine.set(step_ms=40)
                began = time.time()
                with asking(gateway, callers=3 * PLACES, pause_s=0.1) as statuses:
                    prometheus.wait_for('ALERTS{alertname="InterestsRequestsRefused"}')
                    time.sleep(OVERLOAD_S)
                assert statuses[429] > statuses[200] > 0
                assert gateway.metric("interests_degraded_total") > 0
                fired = prometheus.fired(began, time.time())
                assert fired == {("InterestsRequestsRefused", "page")}
