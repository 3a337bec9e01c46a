"""Processes that are stopped, and known to be."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def freeze(pid: int, within_s: float = 10.0) -> None:
    """Stop every thread of a process, with its connections left open; returns when they stand.

    The signal alone is not enough: a thread that is running goes on until it is next looked at.
    """
    os.kill(pid, signal.SIGSTOP)
    until = time.monotonic() + within_s
    while not all(state == "T" for state in _states(pid)):
        assert time.monotonic() < until, f"{pid} does not stop"
        time.sleep(0.005)


def _states(pid: int) -> list[str]:
    stats = [task / "stat" for task in Path(f"/proc/{pid}/task").iterdir()]
    return [stat.read_text().rpartition(")")[2].split()[0] for stat in stats]
