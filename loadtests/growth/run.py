"""What every axis of a growth run is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.rig.cores import Cores


@dataclass(frozen=True, slots=True)
class Run:
    """How much is measured, and on which cores."""

    student: Path
    """A built student's `student.yaml`."""
    cores: Cores
    rounds: int
    seconds: float
    """Of each turn of a size."""
    quick: bool
    """Everything small: to see that all of it works."""
    million_users: bool

    def sizes(self, full: Sequence[int], quick: Sequence[int]) -> list[int]:
        """Those that are measured."""
        return list(quick if self.quick else full)
