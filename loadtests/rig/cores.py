"""Who runs on which processor cores, so that a load generator does not slow what it measures.

The measured process gets one core. The load generator, and every stub and store that it starts, get
the others. Linux only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cores:
    """The cores of the measured process, of the engine simulator, and of everything else."""

    measured: frozenset[int]
    engine: frozenset[int]
    others: frozenset[int]

    @property
    def apart(self) -> bool:
        """Whether the measured process has its core for itself; with a single one it cannot."""
        return not self.measured & self.others

    @property
    def said(self) -> str:
        """For a report: which core is whose."""
        measured, engine, others = (
            " ".join(map(str, sorted(cores))) for cores in (self.measured, self.engine, self.others)
        )
        if not self.apart:
            return f"all processes share core {measured}"
        own = f"engine simulator on core {engine}; " if self.engine != self.others else ""
        return f"measured process on core {measured}; {own}all else on core {others}"


def shared_out(usable: frozenset[int]) -> Cores:
    """The first usable core for the measured process, the rest for everything else.

    With three or more the engine simulator has the last one.
    """
    measured = frozenset({min(usable)})
    rest = usable - measured or measured
    engine = frozenset({max(rest)}) if len(rest) > 1 else rest
    return Cores(measured, engine, rest - engine or rest)


def take_cores() -> Cores:
    """Share out the cores that this process may use, and move it to those of the load generator.

    What it starts from now on is there, too, until `pin` moves it.
    """
    cores = shared_out(frozenset(os.sched_getaffinity(0)))
    pin(os.getpid(), cores.others)
    return cores


def pin(pid: int, cores: frozenset[int]) -> None:
    """Move a process with all its threads to these cores.

    Threads and processes that it starts later inherit them.
    """
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def cpu_s(pid: int) -> float:
    """Seconds of CPU that the threads of a process have used, to the nanosecond."""
    return sum(
        int(thread.read_text().split()[0]) / 1e9
        for thread in Path(f"/proc/{pid}/task").glob("*/schedstat")
    )
