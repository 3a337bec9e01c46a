"""TLS and authentication to all three parts, by settings alone; and a Redis Cluster by URL."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from service.manifest import load_manifest
from tests.integration.conftest import interests
from tests.parts.gateway import running_gateway
from tests.parts.opensearch import call
from tests.parts.redis import RedisClusterParts, RedisServer
from tests.parts.simulator import simulator
from tests.parts.wire import Wire

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]


class Authority:
    """A certificate authority, a server's certificate and a client's, as files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        self.server, self.server_key = folder / "server.pem", folder / "server.key"
        self.client, self.client_key = folder / "client.pem", folder / "client.key"
        for names, cert, key in (
            (("127.0.0.1", "localhost"), self.server, self.server_key),
            (("client.example",), self.client, self.client_key),
        ):
            issued = authority.issue_cert(*names)
            issued.cert_chain_pems[0].write_to_path(cert)
            issued.private_key_pem.write_to_path(key)

    def mutual(self) -> ssl.SSLContext:
        """A server's context that asks for a client's certificate of this authority."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca)
        context.load_cert_chain(self.server, self.server_key)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def settings(self, part: str) -> dict[str, str]:
        """What the gateway needs to know to talk to a part behind `mutual`."""
        return {
            f"{part}__CA_FILE": str(self.ca),
            f"{part}__CERT_FILE": str(self.client),
            f"{part}__KEY_FILE": str(self.client_key),
        }


@contextmanager
def front(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """A port that ends TLS before the server on `port`, for processes outside the test."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    wire = Wire(port, tls=context)
    asyncio.run_coroutine_threadsafe(wire.__aenter__(), loop).result(10)
    try:
        yield wire.port
    finally:
        asyncio.run_coroutine_threadsafe(wire.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def events(*texts: str) -> list[dict[str, Any]]:
    now = datetime.now(UTC).isoformat()
    return [{"at": now, "domain": "search", "text": text} for text in texts]


@pytest.mark.opensearch
def test_all_three_parts_are_reached_over_mutual_tls_with_their_credentials(
    built_student: Path,
    opensearch_url: str,
    index_name: str,
    demo: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path / "tls")
    model = load_manifest(built_student / "student.yaml").key
    redis = RedisServer(password="s3cret/%").start()
    engine_flags = ["--model", model, "--api-key", "engine-key", "--step-ms", "1"]
    engine_flags += ["--tls-cert", str(authority.server), "--tls-key", str(authority.server_key)]
    engine_flags += ["--tls-client-ca", str(authority.ca)]
    plain = {"INTERESTS_OPENSEARCH_URL": opensearch_url, "INTERESTS_INDEX_NAME": index_name}
    interests("index", "load", str(demo[0]), env=plain)
    assert call(f"{opensearch_url}/_alias/{index_name}")
    search_port = int(opensearch_url.rpartition(":")[2])
    try:
        with (
            front(redis.port, authority.mutual()) as redis_port,
            front(search_port, authority.mutual()) as opensearch_port,
            simulator(*engine_flags) as engine,
        ):
            settings = {
                "REDIS_URL": f"rediss://127.0.0.1:{redis_port}/0",
                "REDIS_PASSWORD": "s3cret/%",
                "OPENSEARCH_URL": f"https://127.0.0.1:{opensearch_port}",
                "OPENSEARCH_USERNAME": "reader",
                "OPENSEARCH_PASSWORD": "hunter2",
                "INDEX_NAME": index_name,
                "STUDENTS__MAIN__MANIFEST": str(built_student / "student.yaml"),
                "STUDENTS__MAIN__ENGINES": json.dumps([engine.url]),
                "STUDENTS__MAIN__API_KEY": "engine-key",
                **authority.settings("REDIS_TLS"),
                **authority.settings("OPENSEARCH_TLS"),
                **authority.settings("STUDENTS__MAIN__TLS"),
            }
            data = tmp_path / "data"
            data.mkdir()
            with running_gateway(data, settings) as gateway:
                for part in ("redis", "index", "student"):
                    gateway.wait_for(part)
                body = {"user_id": "u", "signals": events("electric ferry", "rowing regatta")}
                assert gateway.client.post("/v1/signals", json=body).status_code == 200
                answer = gateway.interests("u")
                assert answer["source"] == {"queries": "fresh", "candidates": "search"}
                assert answer["degraded"] == []

            strangers = Authority(tmp_path / "other")
            wrong = {
                **settings,
                "REDIS_PASSWORD": "guess",
                "STUDENTS__MAIN__API_KEY": "guess",
                "OPENSEARCH_TLS__CA_FILE": str(strangers.ca),
            }
            with running_gateway(data, wrong) as gateway:
                answer = gateway.interests("u", signals=events("electric ferry"))
                assert set(answer["degraded"]) == {
                    "signals_unavailable",
                    "generation_unavailable",
                    "retrieval_unavailable",
                }
                assert answer["source"] == {"queries": "heuristic", "candidates": "popular"}
                checks = gateway.checks()
                assert all(said != "ok" for said in checks.values()), checks
                assert "guess" not in json.dumps(checks)
                assert "guess" not in gateway.log.read_text()
    finally:
        redis.close()


def test_a_redis_cluster_serves_by_its_url(
    redis_cluster: RedisClusterParts, built_student: Path, demo_index: Path
) -> None:
    settings = {
        "REDIS_URL": redis_cluster.url,
        "STUDENTS__MAIN__MANIFEST": str(built_student / "student.yaml"),
    }
    with running_gateway(demo_index, settings) as gateway:
        gateway.wait_for("redis")
        gateway.wait_for("index")
        users = [f"user {{{number}}} %41 🦊" for number in range(12)]
        for user in users:
            body = {"user_id": user, "signals": events("electric ferry battery trial")}
            assert gateway.client.post("/v1/signals", json=body).json()["stored"] == 1
        for user in users:
            answer = gateway.interests(user)
            assert answer["source"] == {"queries": "heuristic", "candidates": "search"}
        path = "/v1/users/" + "".join(f"%{byte:02X}" for byte in users[0].encode())
        assert gateway.client.delete(path).status_code == 204
        assert gateway.interests(users[0])["degraded"] == ["no_signals"]
        assert gateway.interests(users[1])["degraded"] == ["generation_unavailable"]
