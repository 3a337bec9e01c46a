"""The machine and the code that a figure belongs to. No host names, no paths."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from deploy.local.stack import redis_server

ROOT = Path(__file__).parents[2]
_PACKAGES = (
    *("fastapi", "starlette", "uvicorn", "uvloop", "httptools", "pydantic", "orjson"),
    *("redis", "hiredis", "aiohttp", "opensearch-py", "tantivy", "tokenizers", "numpy"),
)
"""Those on a request's path."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where something was measured, and of which code."""

    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    packages: Mapping[str, str]
    redis: str
    commit: str
    """With `, changed` where the checkout differs from it; `unknown` outside of git."""
    load: float
    """Processes that wanted a core in the minute before: on a quiet machine about 0."""

    def lines(self) -> list[str]:
        """For people, a line each."""
        versions = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        return [
            f"{self.cpu}, {self.cores} cores, {self.memory_gib:.0f} GiB, Linux {self.kernel}",
            f"Python {self.python}; {versions}; Redis {self.redis}",
            f"commit {self.commit}; load of the machine in the minute before: {self.load:.2f}",
        ]


def describe() -> Machine:
    """This machine, and the checkout that this module is of. Linux only."""
    return Machine(
        cpu=_cpu(Path("/proc/cpuinfo").read_text()),
        cores=os.cpu_count() or 1,
        memory_gib=_memory_gib(Path("/proc/meminfo").read_text()),
        kernel=platform.release(),
        python=platform.python_version(),
        packages={name: metadata.version(name) for name in _PACKAGES},
        redis=_redis_version(),
        commit=commit_of(ROOT),
        load=os.getloadavg()[0],
    )


def commit_of(tree: Path) -> str:
    """The commit of a checkout, with `, changed` where it was changed since; or `unknown`."""
    commit = _git(tree, "rev-parse", "--short=12", "HEAD")
    if not commit:
        return "unknown"
    return f"{commit}, changed" if _git(tree, "status", "--porcelain") else commit


def _git(tree: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=tree, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu(info: str) -> str:
    """Its model by `/proc/cpuinfo`; of a processor that has no name there, the architecture."""
    for line in info.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _memory_gib(info: str) -> float:
    return int(info.partition("MemTotal:")[2].split()[0]) / 2**20


def _redis_version() -> str:
    done = subprocess.run([redis_server(), "--version"], capture_output=True, text=True)
    return done.stdout.partition("v=")[2].partition(" ")[0] or "unknown"
