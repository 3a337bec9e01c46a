"""A simulated world from files of articles and searches, with progress."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from models.progress import Progress, Stage, untold
from models.simulation.encoder import Encoder, Vectors
from models.simulation.world import World, build_world
from service.errors import ConfigurationError
from service.records import Article
from service.retrieval.indexes.readers import BadRow, read_articles
from service.signals.lines import RowErrors, open_lines

SEARCHES_FROM = "nq"
"""The searches that simulation uses: those whose terms let weights made of them be passed on."""


class WatchedEncoder(Encoder):
    """The encoder, with a stage for each call."""

    def __init__(self, cache: Path, stage: Stage) -> None:
        super().__init__(cache)
        self._stage = stage

    def encode(self, texts: Sequence[str], progress: Progress = untold) -> Vectors:
        """As the encoder does; the stage hears of it as well."""
        tell = self._stage("texts encoded", len(texts))

        def both(done: int) -> None:
            tell(done)
            progress(done)

        return super().encode(texts, both)


def open_world(
    articles: Sequence[str], searches: str | None, encoder: Encoder, errors: RowErrors
) -> World:
    """Read the files and make their world: minutes the first time, seconds from kept vectors.

    Raises `InvalidInput` naming file and line for a bad row beyond what `errors` allows, and
    `ConfigurationError`: too few articles, or no training environment.
    """
    read = [one for file in articles for one in read_articles_of(file, errors)]
    asked = read_searches(searches, errors) if searches else []
    try:
        return build_world(read, asked, encoder)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"simulation needs {error.name}, which is not installed here; install the training "
            "environment (make train) and run .venv-train/bin/interests"
        ) from error


def read_articles_of(file: str, errors: RowErrors) -> list[Article]:
    """Every good row of a file of articles."""
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
