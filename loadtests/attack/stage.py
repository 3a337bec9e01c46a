"""What is attacked: a gateway over a real Redis, the demo's articles, and a scripted engine."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from deploy.local.processes import Children, free_port
from deploy.local.stack import redis_server
from loadtests.local_gateway import HOST, LocalGateway, environment_of, local_gateway
from models.demo.__main__ import write_demo
from service.manifest import load_manifest


def signal_now(text: str) -> dict[str, Any]:
    """A search of this moment, as a backend sends it."""
    return {"domain": "search", "text": text, "at": datetime.now(UTC).isoformat()}


@dataclass(frozen=True, slots=True)
class Stage:
    """The running parts. `tree`: the checkout under attack; `scratch`: a folder for files."""

    tree: Path
    scratch: Path
    gateway: LocalGateway
    engine: str
    settings: Mapping[str, str]

    def post(self, body: Any, path: str = "/v1/interests", **more: Any) -> httpx.Response:
        """Ask the gateway; a call that takes longer than half a minute raises `httpx`'s error."""
        return httpx.post(f"{self.gateway.url}{path}", json=body, timeout=30, **more)

    def interests(
        self, *words: str, settings: Mapping[str, str] | None = None, timeout_s: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the checkout."""
        return subprocess.run(
            [sys.executable, "-m", "service", *words],
            cwd=self.scratch,
            env=environment_of(self.tree, {**self.settings, **(settings or {})}),
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    @contextmanager
    def engine_with(self, **behaviour: Any) -> Iterator[None]:
        """Give the engine a fault for the block."""
        control = f"{self.engine}/simulator"
        httpx.post(control, json=behaviour).raise_for_status()
        try:
            yield
        finally:
            httpx.post(control, json={"fault": "", "step_ms": 1.0}).raise_for_status()

    @contextmanager
    def longest_stall(self) -> Iterator[list[float]]:
        """Ask for `/healthz` all the time; the list's one number is the longest answer, seconds."""
        worst, over = [0.0], threading.Event()

        def look() -> None:
            with httpx.Client(timeout=60) as client:
                while not over.is_set():
                    began = time.perf_counter()
                    client.get(f"{self.gateway.url}/healthz")
                    worst[0] = max(worst[0], time.perf_counter() - began)
                    time.sleep(0.005)

        looking = threading.Thread(target=look)
        looking.start()
        try:
            yield worst
        finally:
            over.set()
            looking.join()


@contextmanager
def stage(tree: Path, student: Path) -> Iterator[Stage]:
    """Everything started, the demo loaded."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, redis_port, engine_port = Path(scratch), free_port(), free_port()
        children = Children(folder / "log")
        settings = {
            "DATA_DIR": str(folder),
            "REDIS_URL": f"redis://{HOST}:{redis_port}/0",
            "STUDENTS__MAIN__MANIFEST": str(student),
        }
        engine = f"http://{HOST}:{engine_port}"
        try:
            children.start("redis", [redis_server(), "--port", str(redis_port), "--save", ""])
            simulator = [sys.executable, "-m", "loadtests.engine_simulator"]
            flags = [
                "--port",
                str(engine_port),
                "--step-ms",
                "1",
                "--model",
                load_manifest(student).key,
            ]
            children.start("engine", [*simulator, *flags])
            articles, _ = write_demo(folder / "demo")
            load = [sys.executable, "-m", "service", "index", "load", str(articles)]
            environment = environment_of(tree, settings)
            subprocess.run(load, cwd=tree, env=environment, check=True, capture_output=True)
            engines = {"STUDENTS__MAIN__ENGINES": f'["{engine}"]'}
            with local_gateway(tree, folder, {**settings, **engines}) as gateway:
                yield Stage(tree, folder, gateway, engine, settings)
        finally:
            children.stop()
