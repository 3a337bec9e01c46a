"""Where users to evaluate on come from, as files that are named on a command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import orjson

from models.data.encoder import Encoder, Vectors
from models.data.simulator import MIXES, MixName
from models.data.world import Split, build_world
from models.evaluate import Stage
from models.evaluation_logs import log_set
from models.evaluation_sets import EvaluationSet, simulated_set
from service.errors import ConfigurationError
from service.records import Article
from service.retrieval.readers import BadRow, read_articles
from service.signals.lines import RowErrors, open_lines

SEARCHES_FROM = "nq"
"""The searches that simulation uses: those whose terms let weights made of them be passed on."""


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
    cache: Path
    """Folder of the sentence encoder: its model and its vectors."""

    @property
    def name(self) -> str:
        """The mix."""
        return self.mix

    def load(self, stage: Stage) -> EvaluationSet:
        """Build the world (minutes the first time, seconds from kept vectors) and its users."""
        errors = RowErrors(self.max_errors)
        articles = [one for file in self.articles for one in _read_articles(file, errors)]
        searches = read_searches(self.searches, errors) if self.searches else []
        encoder = _Watched(self.cache, stage)
        try:
            world = build_world(articles, searches, encoder)
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"simulation needs {error.name}, which is not installed here; install the training "
                "environment (make train) and run .venv-train/bin/interests evaluate"
            ) from error
        made = simulated_set(
            world,
            self.split,
            MIXES[self.mix],
            self.users,
            self.seed,
            stage("users simulated", self.users),
        )
        about = {**made.about, "searches": len(searches), "bad_rows": len(errors.messages)}
        return replace(made, about=about)


@dataclass(frozen=True, slots=True)
class LogSource:
    """The two files of a reading log."""

    news: str
    behaviors: str
    max_impressions: int | None
    max_errors: int
    max_age_days: float | None
    seed: int

    @property
    def name(self) -> str:
        """Not simulated: that is what its figures differ by."""
        return "log"

    def load(self, stage: Stage) -> EvaluationSet:
        """Read both files."""
        return log_set(
            self.news,
            self.behaviors,
            max_impressions=self.max_impressions,
            max_errors=self.max_errors,
            max_age_days=self.max_age_days,
            seed=self.seed,
            progress=stage("rows read", 0),
        )


class _Watched(Encoder):
    """The encoder, with a bar for each call that has to run the model."""

    def __init__(self, cache: Path, stage: Stage) -> None:
        super().__init__(cache)
        self._stage = stage

    def encode(
        self, texts: Sequence[str], progress: Callable[[int], None] = lambda done: None
    ) -> Vectors:
        """As the encoder does; `progress` hears of it as well."""
        tell = self._stage("texts encoded", len(texts))

        def both(done: int) -> None:
            tell(done)
            progress(done)

        return super().encode(texts, both)


def _read_articles(file: str, errors: RowErrors) -> list[Article]:
    found = []
    for row in read_articles(file):
        if isinstance(row, BadRow):
            errors.add(row.file, row.line, f"{row.field}: {row.why}" if row.field else row.why)
        else:
            found.append(row)
    return found


def read_searches(file: str, errors: RowErrors) -> list[str]:
    """The searches of source `nq` in a file of JSON lines with `source` and `query`.

    Raises `InvalidInput` for a file that cannot be read and for too many bad rows.
    """
    found = []
    with open_lines(file) as rows:
        for number, row in rows:
            try:
                one = orjson.loads(row)
                source, query = one["source"], one["query"]
                if not isinstance(query, str) or not query.strip():
                    raise TypeError
            except (ValueError, TypeError, KeyError):
                errors.add(file, number, "needs source and query, both texts")
                continue
            if source == SEARCHES_FROM:
                found.append(query)
    return found
