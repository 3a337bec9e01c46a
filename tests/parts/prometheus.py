"""A real Prometheus for tests: scrapes a gateway often and evaluates rules, on the loopback."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.debian import find_program
from tests.parts.gateway import free_port
from tests.parts.require import Missing, missing_part

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
SCRAPE_S = 1.0
FASTER = 10
"""Of hastened rules: an hour is six minutes, five minutes are 30 seconds, two minutes are twelve
seconds. The gateway looks at its parts every five seconds whatever the rules say: one look that
fails on a busy machine must not fire what waits for two minutes.
"""
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_WINDOW = re.compile(r"\[(\d+)([smhd])\]")
_FOR = re.compile(r"^( +for: )(\d+)([smhd])$", re.MULTILINE)
_START_S = 30.0


def program(name: str) -> str:
    """`prometheus` or `promtool`; skips the test where it is missing, fails it in CI."""
    try:
        return str(find_program(name, "prometheus"))
    except Missing as error:
        missing_part(name, str(error))


def hastened(rules: str, factor: int) -> str:
    """The rules with every window and every `for` divided by `factor`, and nothing else changed."""

    def shorter(number: str, unit: str) -> str:
        return f"{int(number) * _SECONDS[unit] * 1000 // factor}ms"

    rules = _WINDOW.sub(lambda found: f"[{shorter(found[1], found[2])}]", rules)
    return _FOR.sub(lambda found: found[1] + shorter(found[2], found[3]), rules)


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus, as Grafana and people see it."""

    url: str
    client: httpx.Client

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Series of an instant query."""
        return self._ask("query", {"query": expression})

    def range(self, expression: str, start: float, end: float) -> list[dict[str, Any]]:
        """Series of a query at every scrape between two moments, seconds since 1970."""
        span = {"start": start, "end": end, "step": SCRAPE_S}
        return self._ask("query_range", {"query": expression, **span})

    def fired(self, start: float, end: float) -> set[tuple[str, str]]:
        """Names and severities of the alerts that fired at any moment between these two."""
        found = self.range('ALERTS{alertstate="firing"}', start, end)
        return {(one["metric"]["alertname"], one["metric"]["severity"]) for one in found}

    def wait_for(self, expression: str, limit_s: float = _START_S) -> None:
        """Wait until an expression has a series. Fails the test where it never has."""
        until = time.monotonic() + limit_s
        while not self.query(expression):
            assert time.monotonic() < until, f"nothing for {expression} within {limit_s:g} s"
            time.sleep(0.1)

    def _ask(self, what: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.client.get(f"/api/v1/{what}", params=parameters)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found


@contextmanager
def running_prometheus(folder: Path, rules: str, targets: list[str]) -> Iterator[Prometheus]:
    """Scrape `targets` (`host:port`) and evaluate the rules, once a second, until the end."""
    port = free_port()
    interval = f"{int(SCRAPE_S * 1000)}ms"
    (folder / "rules.yml").write_text(rules, encoding="utf-8")
    config = {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "evaluation_interval": interval,
        },
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": "interests", "static_configs": [{"targets": targets}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'series'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, timeout=10) as client:
            _wait(client, process, log)
            yield Prometheus(url, client)
    finally:
        process.kill()
        process.wait()


def _wait(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_S
    while True:
        assert process.poll() is None, f"Prometheus ended: {log.read_text()[-2000:]}"
        try:
            ready = client.get("/-/ready").status_code == 200
        except httpx.TransportError:
            ready = False
        if ready:
            return
        assert time.monotonic() < until, f"no Prometheus: {log.read_text()[-2000:]}"
        time.sleep(0.1)
