"""Folders of exported events, small and made up: segments in the schema of the export."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson
import pyarrow as pa
from pyarrow import parquet

from service.events.export.parquet_tables import SCHEMAS

START_MS = 1_764_547_200_000
"""2025-12-01T00:00:00Z."""
DAY_MS = 86_400_000

Row = dict[str, Any]


def placed(key: str, arm: str, reason: str | None = None, layer: str = "students") -> Row:
    """A placement: the arm a user is in, served as that arm says unless there is a reason."""
    return {"key": key, "layer": layer, "assigned": arm, "served": arm, "reason": reason}


def exposure(
    request: str, user: str, at_ms: int, *placements: Row, candidates: int = 2, **more: Any
) -> Row:
    """An answer to a user; `at_ms` is in milliseconds since 1970."""
    row = {
        "request_id": request,
        "at": _at(at_ms),
        "process": 4,
        "sequence": 0,
        "user_id": user,
        "student": "student@1",
        "queries_from": "fresh",
        "candidates_from": "search",
        "degraded": [],
        "coverage_queries": 1.0,
        "coverage_shards": 1.0,
        "placements": list(placements),
        "queries": [{"text": "news", "weight": 1.0, "hits": 2, "near": 0, "origin": "student"}],
        "candidates": [
            {"id": f"article-{number}", "score": 1.0, "matched": [0]}
            for number in range(candidates)
        ],
        "timings_ms": dict.fromkeys(("signals", "generate", "retrieve", "fuse"), 10.0)
        | {"total": 40.0},
        "signals": {"search": 5, "browse": 0, "purchase": 0, "video": 0, "news": 1},
    }
    return row | more


def feedback(
    of: Row, kind: Literal["impression", "click", "dwell"], article: str, **more: Any
) -> Row:
    """What the user of an exposure did with an article, a second after it, joined with it."""
    row = {
        "request_id": of["request_id"],
        "event_id": f"{of['request_id']}-{kind}-{article}",
        "user_id": of["user_id"],
        "kind": kind,
        "article_id": article,
        "at": datetime.fromtimestamp(of["at"].timestamp() + 1, UTC),
        "dwell_ms": None,
        "joined": True,
        "exposed_at": of["at"],
        "student": of["student"],
        "placements": of["placements"],
        "place": 1,
        "matched": ["news"],
    }
    return row | more


def write_segment(
    folder: Path,
    exposures: Iterable[Row] = (),
    feedback: Iterable[Row] = (),
    *,
    partition: int = 0,
    first_ms: int = START_MS,
    shadows: Iterable[Row] = (),
    ends: Iterable[Row] = (),
    form: Literal["parquet", "jsonl"] = "parquet",
) -> Path:
    """Write one segment; its name says the partition, and ids that begin at `first_ms`."""
    segment = folder / f"{partition}_{first_ms}-0_{first_ms + 1}-0"
    segment.mkdir(parents=True)
    given = {"exposures": exposures, "feedback": feedback, "shadows": shadows, "ends": ends}
    for name, rows in given.items():
        path = segment / f"{name}.{form}"
        if form == "parquet":
            table = pa.Table.from_pylist(list(rows), schema=SCHEMAS[name])
            parquet.write_table(table, path)
        else:
            path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return segment


def _at(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
