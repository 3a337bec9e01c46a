"""What a training by rewards looked like: each step, and lists of people who are not trained on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.training.watch import Look
from service.errors import ConfigurationError
from service.files import whole_file

_LOGGED = {
    "kl": "kl",
    "entropy": "entropy",
    "completions/mean_length": "tokens",
    "completions/clipped_ratio": "cut",
    "clip_ratio/region_mean": "clipped",
    "reward_std": "spread",
    "step_time": "seconds",
}
"""What is kept of a step, by TRL's name for it."""


@dataclass(frozen=True, slots=True)
class Rewarded:
    """Lists of tune people at one step: their rewards, by what judges said, and their look."""

    step: int
    reward: float
    """The weighted mean of all rewards."""
    rewards: Mapping[str, float]
    """The mean of each."""
    look: Look

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {value:.3f}" for name, value in self.rewards.items())
        return f"tune people: reward {self.reward:.3f} ({parts}); {self.look}"


@dataclass(slots=True)
class Progress:
    """All steps and looks of a run, kept as JSON."""

    steps: list[Mapping[str, float]] = field(default_factory=list)
    """By step its rewards (`rewards/<name>`), KL and entropy (nats a token), tokens of a list."""
    looks: list[Rewarded] = field(default_factory=list)

    def note_steps(self, history: Iterable[Mapping[str, Any]]) -> None:
        """Take what a trainer logged."""
        self.steps = [
            {
                "step": int(row["step"]),
                **{ours: float(row[name]) for name, ours in _LOGGED.items() if _told(row, name)},
                **{
                    name.removesuffix("/mean"): float(row[name])
                    for name in row
                    if name.startswith("rewards/") and name.endswith("/mean") and _told(row, name)
                },
            }
            for row in history
            if "reward" in row
        ]

    def forget_after(self, step: int) -> None:
        """Drop the looks of later steps: a run that is resumed takes them again."""
        self.looks = [seen for seen in self.looks if seen.step <= step]

    def collapsed(self, distinct_least: float, patience: int) -> bool:
        """Whether the last `patience` looks saw too few distinct lists."""
        last = self.looks[-patience:]
        return len(last) == patience and all(s.look.distinct < distinct_least for s in last)

    def save(self, path: Path) -> None:
        """Write the file; it is complete or as it was."""
        record = {
            "steps": [dict(row) for row in self.steps],
            "looks": [asdict(s) for s in self.looks],
        }
        with whole_file(path) as file:
            file.write(json.dumps(record, indent=1).encode())

    @classmethod
    def load(cls, path: Path) -> Progress:
        """What `save` wrote; an empty one where there is no file.

        Raises `ConfigurationError` where the file is not what this version writes.
        """
        if not path.is_file():
            return cls()
        try:
            record = json.loads(path.read_bytes())
            looks = [Rewarded(**{**one, "look": Look(**one["look"])}) for one in record["looks"]]
            return cls(record["steps"], looks)
        except (ValueError, LookupError, TypeError) as error:
            raise ConfigurationError(
                f"{path}: is not what this version of the training writes; start anew with "
                "another --out"
            ) from error


def _told(row: Mapping[str, Any], name: str) -> bool:
    return isinstance(row.get(name), int | float)
