"""What lies in a folder of exported events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from pyarrow import parquet

from service.events.export.ids import Segment, segment_of


def segments(folder: Path) -> list[Segment]:
    """The segments, in their order. Nothing else that an export makes may be left but its lock."""
    names = [path.name for path in folder.iterdir()]
    assert not [name for name in names if name.startswith(".writing")]
    return sorted(filter(None, map(segment_of, names)))


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    """The rows of all segments, in their order."""
    found: list[dict[str, Any]] = []
    for segment in segments(folder):
        if (path := folder / str(segment) / f"{table}.parquet").is_file():
            found += parquet.read_table(path).to_pylist()
        else:
            lines = (folder / str(segment) / f"{table}.jsonl").read_bytes().splitlines()
            found += map(orjson.loads, lines)
    return found
