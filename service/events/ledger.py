"""Which exported segments hold events of a user: what has left Redis is not deleted with the rest.

An export is a folder of segments with a file for each kind of event, as JSON lines or as Parquet
(`service/events/export/folder.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from service.errors import InvalidInput
from service.events.export.folder import segments_in
from service.parquet import Column, read_table
from service.rows import read_lines

_OF_USERS = ("exposures", "feedback", "shadows")


@dataclass(frozen=True, slots=True)
class Held:
    """A segment that holds events of the user: how many, by the name of their file."""

    segment: Path
    counts: Mapping[str, int]


def segments_with(folder: Path, user_id: str) -> Iterator[Held]:
    """The segments of an export that hold the user's events, in the order of their names.

    Raises `InvalidInput` naming the file (and line) that cannot be read, `ConfigurationError` for a
    folder that is not there, or holds two exports, and for Parquet without the extra.
    """
    for segment in segments_in(folder):
        place = folder / str(segment)
        files = (path for path in sorted(place.iterdir()) if path.stem in _OF_USERS)
        found = {path.name: sum(user == user_id for user in _users(path)) for path in files}
        if counts := {name: count for name, count in found.items() if count}:
            yield Held(place, counts)


def _users(path: Path) -> Iterator[object]:
    """The user of each row."""
    if path.suffix == ".parquet":
        for _, row in read_table(str(path), [Column("user_id", "text")]):
            yield row["user_id"]
    elif path.suffix == ".jsonl":
        for number, line in read_lines(str(path)):
            try:
                yield orjson.loads(line)["user_id"]
            except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                raise InvalidInput(
                    f"{path}:{number}: is no object with a user_id, as an export writes them"
                ) from error
