"""A gateway of some checkout as a process of its own, on the loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.local.processes import free_port
from loadtests.rig.cores import pin

HOST = "127.0.0.1"
_START_S = 60.0


@dataclass(frozen=True, slots=True)
class LocalGateway:
    """Where it listens, and its process."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://{HOST}:{self.port}"

    def rss_mb(self) -> float:
        """Memory it holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1000


def environment_of(tree: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command of the checkout `tree`; names without `INTERESTS_`."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("INTERESTS_")}
    return {**mine, "PYTHONPATH": str(tree), **{f"INTERESTS_{k}": v for k, v in settings.items()}}


@contextmanager
def local_gateway(
    tree: Path,
    folder: Path,
    settings: Mapping[str, str],
    *,
    python: Path = Path(sys.executable),
    command: Sequence[str] = ("-m", "service", "serve"),
    cores: frozenset[int] = frozenset(),
) -> Iterator[LocalGateway]:
    """Run `interests serve` of the checkout `tree` over the data folder `folder` for the block.

    `python` is another interpreter, with packages of its own; `command` what it is to run instead;
    `cores` those that it runs on, where not all that this process has.
    Raises `RuntimeError` when it does not answer within a minute. The port is open before it
    answers, so an answer is what is waited for.
    """
    port, log = free_port(), folder / "gateway.log"
    base = {"PORT": str(port), "DATA_DIR": str(folder), "DRAIN_DELAY_S": "0", "LOG_LEVEL": "error"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(python), *command],
            cwd=tree,
            env=environment_of(tree, {**base, **settings}),
            stdout=output,
            stderr=output,
        )
    gateway = LocalGateway(port, process, log)
    try:
        if cores:
            pin(process.pid, cores)
        _wait(gateway)
        yield gateway
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(gateway: LocalGateway) -> None:
    until = time.monotonic() + _START_S
    while True:
        try:
            httpx.get(f"{gateway.url}/healthz", timeout=_START_S)
        except httpx.TransportError:
            if gateway.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"no gateway: {gateway.log.read_text()[-500:]}") from None
            time.sleep(0.05)
        else:
            return
