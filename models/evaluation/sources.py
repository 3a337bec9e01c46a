"""Where users to evaluate on come from, as files that are named on a command line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from models.evaluation.demo_sets import demo_set
from models.evaluation.log_sets import log_set
from models.evaluation.sets import EvaluationSet
from models.evaluation.simulated_sets import simulated_set
from models.progress import Stage
from models.simulation.files import WatchedEncoder, open_world
from models.simulation.signal_texts import MIXES, MixName
from models.simulation.world import Split
from service.rows import BadRows


class Source(Protocol):
    """Makes an evaluation set."""

    @property
    def name(self) -> str:
        """A word for folders."""
        ...

    def load(self, stage: Stage) -> EvaluationSet:
        """Read or simulate it. Raises `InvalidInput` and `ConfigurationError`."""
        ...


@dataclass(frozen=True, slots=True)
class SimulatedSource:
    """Simulated users over files of articles; `searches` may be absent."""

    articles: tuple[str, ...]
    searches: str | None
    split: Split
    mix: MixName
    users: int
    seed: int
    max_errors: int
    world_encoder: Path
    """Folder of the encoder that makes the world."""
    cache: Path
    """Folder of its vectors."""

    @property
    def name(self) -> str:
        """The mix."""
        return self.mix

    def load(self, stage: Stage) -> EvaluationSet:
        """Build the world (minutes the first time, seconds from kept vectors) and its users."""
        bad = BadRows(self.max_errors)
        encoder = WatchedEncoder(self.world_encoder, self.cache, stage)
        world = open_world(self.articles, self.searches, encoder, bad)
        made = simulated_set(
            world,
            self.split,
            MIXES[self.mix],
            self.users,
            self.seed,
            stage("users simulated", self.users),
        )
        about = {**made.about, "searches": len(world.searches), "bad_rows": bad.count}
        return replace(made, about=about)


@dataclass(frozen=True, slots=True)
class DemoSource:
    """The demo's invented readers over its newspaper."""

    users: int
    seed: int

    @property
    def name(self) -> str:
        """That of the newspaper."""
        return "demo"

    def load(self, stage: Stage) -> EvaluationSet:
        """Write newspaper and readers, of today."""
        return demo_set(self.users, self.seed)


@dataclass(frozen=True, slots=True)
class LogSource:
    """The files of a reading log."""

    news: str
    behaviors: str
    history: str | None
    max_impressions: int | None
    max_errors: int
    max_age_days: float | None
    seed: int

    @property
    def name(self) -> str:
        """Not simulated: that is what its figures differ by."""
        return "log"

    def load(self, stage: Stage) -> EvaluationSet:
        """Read the files."""
        return log_set(
            self.news,
            self.behaviors,
            self.history,
            max_impressions=self.max_impressions,
            max_errors=self.max_errors,
            max_age_days=self.max_age_days,
            seed=self.seed,
            progress=stage("rows read", 0),
        )
