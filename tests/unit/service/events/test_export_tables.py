"""Rows and files of exported events."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from pyarrow import parquet

from service.errors import ConfigurationError
from service.events.export.entries import Entry, Exposure, Feedback, Shadow, read_entry
from service.events.export.folder import TABLES, Form
from service.events.export.parquet_tables import SCHEMAS
from service.events.export.rows import (
    Row,
    exposure_row,
    feedback_row,
    shadow_row,
    share_in_both,
)
from service.events.export.segments import Known
from service.events.export.tables import tables_of, writing
from tests.parts import events, streams

AT_MS = 1_764_547_200_123


def read(kind: str, given: streams.Object) -> Any:
    raw = [b"5-0", [b"k", kind.encode(), b"d", orjson.dumps(given)]]
    found = read_entry(raw, "events:{0}")
    assert isinstance(found, Entry), found
    return found.object


EXPOSURE: Exposure = read("x", streams.exposure(AT_MS, 0))
EMPTY: Exposure = read(
    "x", streams.exposure(AT_MS, 1, ids=[], scores=[], matched=[], queries=[], places=[])
)
CLICK: Feedback = read("f", streams.feedback(streams.exposure(AT_MS, 0), "e1", "a3"))
SHADOW: Shadow = read("s", streams.shadow(streams.exposure(AT_MS, 0)))


def test_parquet_has_the_columns_that_reports_read() -> None:
    assert set(SCHEMAS) == set(TABLES)
    for table in TABLES:
        assert SCHEMAS[table].equals(events.SCHEMAS[table]), table


def written(folder: Path, form: Form, table: str, *batches: list[Row]) -> list[Row]:
    with writing(tables_of(form), folder) as tables:
        for batch in batches:
            tables.add(table, batch)
        tables.finish()
    path = folder / f"{table}.{form}"
    if form == "parquet":
        found: list[Row] = parquet.read_table(path).to_pylist()
        return found
    lines: list[Row] = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    for row in lines:
        for name in ("at", "exposed_at"):
            if row.get(name):
                row[name] = datetime.fromisoformat(row[name])
    return lines


def test_both_formats_hold_the_same_rows(tmp_path: Path) -> None:
    batches: dict[str, tuple[list[Row], ...]] = {
        "exposures": ([exposure_row(EMPTY)], [exposure_row(EXPOSURE), exposure_row(EMPTY)]),
        "feedback": ([feedback_row(CLICK, EXPOSURE), feedback_row(CLICK, None)],),
        "shadows": ([shadow_row(SHADOW, EXPOSURE)], [], [shadow_row(SHADOW, None)]),
    }
    for table, given in batches.items():
        for form in ("parquet", "jsonl"):
            (tmp_path / table / form).mkdir(parents=True)
        packed = written(tmp_path / table / "parquet", "parquet", table, *given)
        assert packed == written(tmp_path / table / "jsonl", "jsonl", table, *given)
        assert len(packed) == sum(map(len, given))
        assert {frozenset(row) for row in packed} == {frozenset(SCHEMAS[table].names)}


def test_a_segment_has_all_four_files_also_where_they_hold_nothing(tmp_path: Path) -> None:
    forms: tuple[Form, ...] = ("parquet", "jsonl")
    for form in forms:
        written(tmp_path, form, "ends")
        assert {path.name for path in tmp_path.glob(f"*.{form}")} == {
            f"{table}.{form}" for table in TABLES
        }
    assert parquet.read_table(tmp_path / "exposures.parquet").num_rows == 0


def test_a_time_in_json_lines_says_its_zone(tmp_path: Path) -> None:
    written(tmp_path, "jsonl", "feedback", [feedback_row(CLICK, EXPOSURE)])
    (line,) = (tmp_path / "feedback.jsonl").read_bytes().splitlines()
    assert orjson.loads(line)["at"] == "2025-12-01T00:00:02.123Z"


def test_the_place_of_an_article_and_who_found_it_are_told() -> None:
    row = feedback_row(CLICK, EXPOSURE)
    assert (row["place"], row["matched"]) == (3, ["stoves"])


def test_lists_are_compared_by_their_first_candidates() -> None:
    assert share_in_both(["a", "b", "c", "d"], ["c", "a", "x"], 2) == 0.5
    assert share_in_both(["a", "b", "c", "d"], ["b", "a"], 10) == 0.5
    assert share_in_both(["a"], [], 10) == 0.0
    assert share_in_both([], ["a"], 10) is None
    assert share_in_both(["a"], None, 10) is None


def test_parquet_without_pyarrow_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "service.events.export.parquet_tables")
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match=r"pip install 'interests\[parquet\]'.*jsonl"):
        tables_of("parquet")
    assert tables_of("jsonl")


def test_exposures_that_are_known_stay_within_their_memory() -> None:
    data = orjson.dumps(streams.exposure(AT_MS, 0))
    known = Known(most_bytes=3 * len(data))
    for name in ("one", "two", "two", "three", "four"):
        known.add(name, data)
    assert known.get("one") is None
    assert all(known.get(name) == EXPOSURE for name in ("two", "three", "four"))
