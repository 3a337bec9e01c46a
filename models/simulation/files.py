"""A simulated world from files of articles and searches, with progress."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from models.progress import Progress, Stage, untold
from models.simulation.encoder import Encoder
from models.simulation.world import World, build_world
from service.errors import InvalidInput
from service.records import TextRole, Vectors
from service.retrieval.indexes.readers import read_articles
from service.rows import BadRow, BadRows, broken_byte, foreign, name_of, read_lines

SEARCHES_FROM = "nq"
"""Of searches that name their source those that simulation uses: Natural Questions, whose terms let
weights made of them be passed on."""


class WatchedEncoder(Encoder):
    """The encoder, with a stage for each call."""

    def __init__(self, folder: Path, cache: Path, stage: Stage) -> None:
        super().__init__(folder, cache, threads=os.cpu_count() or 1)
        self._stage = stage

    def encode(self, texts: Sequence[str], role: TextRole, progress: Progress = untold) -> Vectors:
        """As the encoder does; the stage hears of it as well."""
        tell = self._stage("texts encoded", len(texts))

        def both(done: int) -> None:
            tell(done)
            progress(done)

        return super().encode(texts, role, both)


def open_world(
    articles: Sequence[str], searches: str | None, encoder: Encoder, bad: BadRows
) -> World:
    """Read the files and make their world: minutes the first time, seconds from kept vectors.

    Raises `InvalidInput` naming file and line for a bad row beyond what `bad` passes over, and
    `ConfigurationError`: too few articles, or an encoder that is not built.
    """
    read = [article for file in articles for article in bad.sift(read_articles(file))]
    asked = read_searches(searches, bad) if searches else []
    return build_world(read, asked, encoder)


def read_searches(file: str, bad: BadRows) -> list[str]:
    """The searches in JSON lines with `query`: those of source `nq`, or without a `source`.

    Raises `InvalidInput` for a file that cannot be read, for too many bad rows, and where all
    searches are of other sources.
    """
    rows = list(bad.sift(_searches(file)))
    used = [query for source, query in rows if source in (SEARCHES_FROM, None)]
    if rows and not used:
        raise InvalidInput(
            f"{name_of(file)}: none of {len(rows):,} searches is of source {SEARCHES_FROM!r}; "
            "leave `source` out of searches of your own"
        )
    return used


def _searches(file: str) -> Iterator[tuple[str | None, str] | BadRow]:
    """Source and query of every row, or what is wrong with it."""
    name = name_of(file)
    for place, (number, row) in enumerate(read_lines(file)):
        if (byte := broken_byte(row)) is not None:
            yield BadRow(name, number, "", f"byte {byte} is not UTF-8")
            continue
        if place == 0 and (why := foreign(row)):
            yield BadRow(name, number, "", why)
            continue
        try:
            fields = orjson.loads(row)
            source, query = fields.get("source"), fields["query"]
            if not isinstance(query, str) or not query.strip():
                raise TypeError
        except (ValueError, TypeError, KeyError, AttributeError):
            yield BadRow(name, number, "", "needs query, a text that is not empty")
        else:
            yield source, query
