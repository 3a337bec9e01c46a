"""A real gateway process over whatever parts a test names."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from service.addresses import authority
from tests.parts.metrics import total


@dataclass(slots=True)
class Gateway:
    """A running gateway, as a client sees it."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    client: httpx.Client

    def interests(self, user_id: str, **more: Any) -> dict[str, Any]:
        """Ask for a user's candidates; fails the test on anything but 200."""
        answer = self.client.post("/v1/interests", json={"user_id": user_id, **more})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def checks(self) -> dict[str, str]:
        """The state of each part, from `/readyz`."""
        found: dict[str, str] = self.client.get("/readyz").json()["checks"]
        return found

    def wait_in_flight(self, count: int, limit_s: float = 10) -> None:
        """Wait until so many requests are in work."""
        until = time.monotonic() + limit_s
        while (now := self.metric("interests_in_flight")) != count:
            assert time.monotonic() < until, f"{now:.0f} requests are in work, not {count}"
            time.sleep(0.02)

    def wait_for(self, part: str, state: str = "ok", limit_s: float = 30) -> None:
        """Wait until `/readyz` shows this part in this state (`ok`, or anything else: `wrong`)."""
        until = time.monotonic() + limit_s
        while (self.checks()[part] == "ok") != (state == "ok"):
            assert time.monotonic() < until, f"{part} is not {state}: {self.checks()}"
            time.sleep(0.1)

    def engine_states(self) -> list[str]:
        """The state of every engine of every student."""
        found = self.client.get("/v1/students").json()["students"]
        return [engine["state"] for student in found for engine in student["engines"]]

    def metric(self, name: str, **labels: str) -> float:
        """A metric's value over all series with these labels; 0 when there is none."""
        return total(self.client.get("/metrics").text, name, **labels)


def wait(met: Callable[[], bool], what: str, limit_s: float = 30) -> None:
    """Wait until it is met; fails the test, saying what was waited for, where it is not."""
    until = time.monotonic() + limit_s
    while not met():
        assert time.monotonic() < until, f"not within {limit_s:g} s: {what}"
        time.sleep(0.02)


@contextmanager
def running_gateway(
    folder: Path, settings: Mapping[str, str], host: str = "127.0.0.1"
) -> Iterator[Gateway]:
    """Run `interests serve` with these settings (names without `INTERESTS_`) until the end."""
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("INTERESTS_")}
    env["INTERESTS_HOST"], env["INTERESTS_PORT"] = host, str(port)
    env["INTERESTS_DRAIN_DELAY_S"] = "0"
    env["INTERESTS_DATA_DIR"] = str(folder)
    env |= {f"INTERESTS_{name}": value for name, value in settings.items()}
    log = folder / "gateway.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "serve"],
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://{authority(host, port)}"
    try:
        with httpx.Client(base_url=url, timeout=40) as client:
            _wait(client, process, log)
            yield Gateway(url, process, log, client)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port on the loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while True:
        assert process.poll() is None, f"the gateway ended: {log.read_text()[-2000:]}"
        try:
            client.get("/healthz")
        except httpx.TransportError:
            assert time.monotonic() < until, f"no gateway within 60 s: {log.read_text()[-2000:]}"
            time.sleep(0.1)
        else:
            return
