"""A simulated world from files of articles and searches, with progress."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from models.progress import Progress, Stage, untold
from models.simulation.encoder import Encoder, Vectors
from models.simulation.world import World, build_world
from service.errors import ConfigurationError
from service.retrieval.indexes.readers import read_articles
from service.rows import BadRow, BadRows, name_of, read_lines

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
    articles: Sequence[str], searches: str | None, encoder: Encoder, bad: BadRows
) -> World:
    """Read the files and make their world: minutes the first time, seconds from kept vectors.

    Raises `InvalidInput` naming file and line for a bad row beyond what `bad` passes over, and
    `ConfigurationError`: too few articles, or no training environment.
    """
    read = [article for file in articles for article in bad.sift(read_articles(file))]
    asked = read_searches(searches, bad) if searches else []
    try:
        return build_world(read, asked, encoder)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"simulation needs {error.name}, which is not installed here; install the training "
            "environment (`make train`) and run .venv-train/bin/interests"
        ) from error


def read_searches(file: str, bad: BadRows) -> list[str]:
    """The searches of source `nq` in a file of JSON lines with `source` and `query`.

    Raises `InvalidInput` for a file that cannot be read and for too many bad rows.
    """
    rows = bad.sift(_searches(file))
    return [query for source, query in rows if source == SEARCHES_FROM]


def _searches(file: str) -> Iterator[tuple[str, str] | BadRow]:
    """Source and query of every row, or what is wrong with it."""
    for number, row in read_lines(file):
        try:
            fields = orjson.loads(row)
            source, query = fields["source"], fields["query"]
            if not isinstance(query, str) or not query.strip():
                raise TypeError
        except (ValueError, TypeError, KeyError):
            yield BadRow(name_of(file), number, "", "needs source and query, both texts")
        else:
            yield source, query
