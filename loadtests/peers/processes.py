"""The peers' processes, in their own environment, on the core of what is measured."""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson

from deploy.local.processes import Children
from loadtests.local_gateway import HOST
from loadtests.rig.cores import pin
from loadtests.rig.machine import ROOT
from loadtests.rig.parts import Parts, Process
from service.errors import ConfigurationError

DEFAULT_PYTHON = ROOT / "loadtests" / "peers" / ".venv" / "bin" / "python"
_START_S = 120.0
_QUIET = {
    "PYTHONPATH": str(ROOT),
    # None of them is to call anything outside of this machine while it is measured.
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
_VERSIONS = """
import importlib.metadata as m, json, sys
print(json.dumps({name: m.version(name) for name in sys.argv[1:]}))
"""


def add_python(cli: argparse.ArgumentParser) -> None:
    """The flag that says which Python has the peers."""
    cli.add_argument(
        "--python", type=Path, default=DEFAULT_PYTHON, help="of the peers' environment"
    )


def versions(python: Path, packages: Sequence[str]) -> dict[str, str]:
    """The versions of these packages in that environment.

    Raises `ConfigurationError` where it, or one of them, is missing.
    """
    try:
        command = [str(python), "-c", _VERSIONS, *packages]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConfigurationError(
            f"--python: {python} does not have {', '.join(packages)}: "
            "uv sync --frozen --project loadtests/peers"
        ) from error
    found: dict[str, str] = orjson.loads(done.stdout)
    return found


@contextmanager
def process(
    here: Parts,
    name: str,
    command: Sequence[str],
    port: int,
    *,
    health: str,
    measured: bool = True,
    environment: Mapping[str, str] | None = None,
    limit_s: float = _START_S,
) -> Iterator[Process]:
    """Run a command that listens on `port` for the block, on the core of what is measured.

    With `measured` false it runs where the load generator does. Raises `ConfigurationError` with
    its last words where `health` has not answered with a 200 within `limit_s` seconds.
    """
    children = Children(here.folder / "log")
    try:
        child = children.start(name, list(command), {**_QUIET, **(environment or {})})
        if measured:
            pin(child.process.pid, here.cores.measured)
        until = time.monotonic() + limit_s
        while not _healthy(f"http://{HOST}:{port}{health}"):
            children.check()
            if time.monotonic() > until:
                raise ConfigurationError(f"{name} did not start: {child.last_words()}")
            time.sleep(0.1)
        if measured:
            pin(child.process.pid, here.cores.measured)
        yield Process(port, child.process.pid)
    finally:
        children.stop()


def _healthy(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False
