"""The lists that an evaluation on people left in its report's folder, `lists.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from service.errors import InvalidInput

Written = Mapping[str, Mapping[str, Sequence[str]]]
"""Lists by system, by person."""


def read_written(path: Path) -> Written:
    """The lists of all systems. Raises `InvalidInput` with file, line and remedy."""
    found: dict[str, dict[str, Sequence[str]]] = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror}", field="lists") from error
    for number, line in enumerate(lines, 1):
        try:
            row = orjson.loads(line)
            for system, texts in row["queries"].items():
                found.setdefault(system, {})[row["person"]] = tuple(map(str, texts))
        except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError) as error:
            raise InvalidInput(
                f"{path}:{number}: is no line of lists of people; give the lists.jsonl that "
                "`interests evaluate --people tune` left",
                field="lists",
            ) from error
    return found


def lists_of(written: Written, system: str, path: Path) -> Mapping[str, Sequence[str]]:
    """The lists of one system. Raises `InvalidInput` where the file has none."""
    if system not in written:
        raise InvalidInput(
            f"{path}: has no lists of {system}, but of {', '.join(written)}; name one of these",
            field="system",
        )
    return written[system]
