"""The gateway over a real OpenSearch that is frozen, killed, emptied and brought back."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import interests
from tests.parts.gateway import Gateway, running_gateway
from tests.parts.opensearch import OpenSearchNode, call, own_index
from tests.parts.redis import RedisServer

pytestmark = [pytest.mark.redis, pytest.mark.opensearch, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def node(opensearch_node: OpenSearchNode) -> OpenSearchNode:
    return opensearch_node


@pytest.fixture(scope="module")
def index(node: OpenSearchNode) -> Iterator[str]:
    """The name of this module's alias."""
    with own_index(node.url) as name:
        yield name
        node.start_again()


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def settings(
    node: OpenSearchNode,
    index: str,
    redis: RedisServer,
    built_student: Path,
    demo: tuple[Path, Path],
) -> dict[str, str]:
    """Settings of a gateway over both; the demo articles are loaded."""
    env = {"INTERESTS_OPENSEARCH_URL": node.url, "INTERESTS_INDEX_NAME": index}
    interests("index", "load", str(demo[0]), env=env)
    return {
        "OPENSEARCH_URL": node.url,
        "INDEX_NAME": index,
        "REDIS_URL": redis.url,
        "STUDENTS__MAIN__MANIFEST": str(built_student / "student.yaml"),
        "POPULAR_REFRESH_S": "1",
        "CACHE_TTL_S": "600",
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="module")
def gateway(folder: Path, settings: dict[str, str]) -> Iterator[Gateway]:
    with running_gateway(folder, settings) as running:
        running.wait_for("index")
        yield running


def event(text: str, ago_s: float = 60) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(seconds=ago_s)
    return {"at": at.isoformat(), "domain": "search", "text": text}


def ask(gateway: Gateway, text: str, **more: Any) -> dict[str, Any]:
    return gateway.interests("u", **{"signals": [event(text)], "timeout_ms": 2000, **more})


def within(seconds: float, check: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, what
        time.sleep(0.1)


def ids(answer: dict[str, Any]) -> set[str]:
    return {candidate["id"] for candidate in answer["candidates"]}


def test_every_query_is_searched_and_every_shard_answers(gateway: Gateway) -> None:
    answer = ask(gateway, "electric ferry battery trial")
    assert answer["source"]["candidates"] == "search"
    assert answer["coverage"] == {"queries": 1.0, "shards": 1.0}
    assert any(
        candidate["id"].startswith("battery-ferry") for candidate in answer["candidates"][:5]
    )


def test_an_upsert_is_found_and_a_deletion_gone_within_five_seconds_though_cached(
    gateway: Gateway, settings: dict[str, str], tmp_path: Path
) -> None:
    env = {f"INTERESTS_{name}": settings[name] for name in ("OPENSEARCH_URL", "INDEX_NAME")}
    assert "zeppelin-1" not in ids(ask(gateway, "zeppelin postal service"))
    article = {
        "id": "zeppelin-1",
        "title": "Zeppelin postal service returns",
        "published": datetime.now(UTC).isoformat(),
        "popularity": 1_000_000_000,
    }
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(article) + "\n")
    interests("index", "upsert", str(rows), env=env)
    within(5, lambda: "zeppelin-1" in ids(ask(gateway, "zeppelin postal service")), "not found")
    within(5, lambda: "zeppelin-1" in ids(gateway.interests("nobody")), "not among the popular")
    interests("index", "delete", "zeppelin-1", env=env)
    within(5, lambda: "zeppelin-1" not in ids(ask(gateway, "zeppelin postal service")), "found")
    within(5, lambda: "zeppelin-1" not in ids(gateway.interests("nobody")), "still popular")


def test_a_frozen_index_costs_the_deadline_and_no_more(
    gateway: Gateway, node: OpenSearchNode
) -> None:
    node.freeze()
    try:
        answer = ask(gateway, "words that no cache has yet", timeout_ms=1000)
    finally:
        node.thaw()
    assert answer["degraded"][-1] == "retrieval_timeout"
    assert answer["source"]["candidates"] == "popular"
    assert answer["timings_ms"]["total"] < 1150
    gateway.wait_for("index")


def test_a_dead_index_leaves_popular_articles_and_two_dead_parts_too(
    gateway: Gateway, node: OpenSearchNode, redis: RedisServer
) -> None:
    node.kill()
    answer = ask(gateway, "other words that no cache has yet")
    assert "retrieval_unavailable" in answer["degraded"]
    assert answer["source"]["candidates"] == "popular"
    assert answer["candidates"]
    redis.kill()
    answer = ask(gateway, "further words that no cache has yet")
    assert {"signals_unavailable", "retrieval_unavailable"} <= set(answer["degraded"])
    assert answer["source"]["candidates"] == "popular"
    redis.start()
    gateway.wait_for("redis")


def test_a_gateway_that_starts_without_its_index_serves_the_snapshot_on_disk_or_503(
    folder: Path, settings: dict[str, str], node: OpenSearchNode, tmp_path: Path
) -> None:
    node.kill()
    copy = tmp_path / "with"
    copy.mkdir()
    shutil.copy(folder / "popular.json", copy)
    with running_gateway(copy, settings) as second:
        answer = ask(second, "eclipse")
        assert answer["source"]["candidates"] == "popular"
        assert second.client.get("/readyz").status_code == 503
    without = tmp_path / "without"
    without.mkdir()
    with running_gateway(without, settings) as third:
        refused = third.client.post("/v1/interests", json={"user_id": "u"})
        assert refused.status_code == 503
        assert refused.json()["type"] == "urn:interests:problem:nothing-to-serve"


def test_the_index_is_used_again_when_it_is_back(gateway: Gateway, node: OpenSearchNode) -> None:
    node.start()
    gateway.wait_for("index", limit_s=60)
    within(
        10,
        lambda: ask(gateway, "night train step by step")["source"]["candidates"] == "search",
        "no search after the node came back",
    )


def test_an_index_with_another_mapping_is_not_searched_and_said_so(
    gateway: Gateway, node: OpenSearchNode, index: str
) -> None:
    """The last test of the module: the alias is moved to a foreign index."""
    foreign = f"{index}-foreign"
    call(f"{node.url}/{foreign}", "PUT", {"mappings": {"properties": {"title": {"type": "long"}}}})
    move = [
        {"remove": {"index": f"{index}-*", "alias": index}},
        {"add": {"index": foreign, "alias": index}},
    ]
    call(f"{node.url}/_aliases", "POST", {"actions": move})
    gateway.wait_for("index", "wrong")
    assert "mapping" in gateway.checks()["index"]
    answer = ask(gateway, "volcano words that no cache has yet")
    assert answer["source"]["candidates"] == "popular"
