"""The engine simulator as a real process behind a real socket: vLLM's protocol without a model."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.parts.metrics import total


class Simulator:
    """A running simulator and its controls."""

    def __init__(self, *flags: str, port: int = 0) -> None:
        command = [sys.executable, "-m", "loadtests.engine_simulator", "--port", str(port), *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, "the simulator did not start"

    @property
    def port(self) -> int:
        """Where it listens on this machine."""
        return int(self.url.rpartition(":")[2])

    def set(self, **behaviour: Any) -> None:
        """Change its speed or give it a fault."""
        httpx.post(f"{self.url}/simulator", json=behaviour).raise_for_status()

    def seen(self) -> dict[str, Any]:
        """What has been asked of it."""
        return dict(httpx.get(f"{self.url}/simulator").json())

    def running(self) -> float:
        """Requests running and waiting."""
        text = httpx.get(f"{self.url}/metrics").text
        return total(text, "vllm:num_requests_running", "vllm:num_requests_waiting")

    def healthy(self) -> bool:
        """What its health check says."""
        return httpx.get(f"{self.url}/health").status_code == 200

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def simulator(*flags: str, port: int = 0) -> Iterator[Simulator]:
    """A simulator for the block."""
    it = Simulator(*flags, port=port)
    try:
        yield it
    finally:
        it.kill()
