"""What a process holds while it works: memory, open files, threads. Linux only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Held:
    """At one moment, in seconds since the first look."""

    at_s: float
    rss_mb: float
    files: int
    threads: int


def held(pid: int, at_s: float = 0.0) -> Held:
    """What the process holds now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return Held(
        at_s,
        rss_mb=int(status.partition("VmRSS:")[2].split()[0]) / 1000,
        files=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        threads=int(status.partition("Threads:")[2].split()[0]),
    )


async def watch(
    pid: int, seconds: float, every_s: float, seen: Callable[[Held], None]
) -> list[Held]:
    """Look every so often, for so long; each look is also told to `seen`."""
    began = time.perf_counter()
    found: list[Held] = []
    while (at_s := time.perf_counter() - began) < seconds:
        found.append(held(pid, at_s))
        seen(found[-1])
        await asyncio.sleep(every_s)
    return found
