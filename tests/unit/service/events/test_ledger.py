from __future__ import annotations

from pathlib import Path

import orjson
import pyarrow as pa
import pytest
from pyarrow import parquet

from service.errors import ConfigurationError, InvalidInput
from service.events.ledger import Held, segments_with


def rows(path: Path, *users: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(orjson.dumps({"user_id": user}) + b"\n" for user in users))


def test_the_segments_that_hold_a_users_events_are_listed_with_their_files(tmp_path: Path) -> None:
    first, second, third = (tmp_path / f"{n}_1-0_9-3" for n in range(3))
    rows(first / "exposures.jsonl", "maya", "jonas", "maya")
    rows(first / "feedback.jsonl", "maya")
    rows(second / "exposures.jsonl", "jonas")
    rows(third / "shadows.jsonl", "maya")
    assert list(segments_with(tmp_path, "maya")) == [
        Held(first, {"exposures.jsonl": 2, "feedback.jsonl": 1}),
        Held(third, {"shadows.jsonl": 1}),
    ]
    assert list(segments_with(tmp_path, "nobody")) == []


def test_parquet_is_read_too(tmp_path: Path) -> None:
    segment = tmp_path / "3_1-0_2-0"
    segment.mkdir()
    table = pa.table({"user_id": ["maya", "jonas"], "at": [1, 2]})
    parquet.write_table(table, segment / "exposures.parquet")
    assert list(segments_with(tmp_path, "maya")) == [Held(segment, {"exposures.parquet": 1})]


def test_what_is_no_segment_or_no_complete_one_is_passed_over(tmp_path: Path) -> None:
    for name in (".writing-0_1-0_2-0", "notes", "0_1_2"):
        rows(tmp_path / name / "exposures.jsonl", "maya")
    rows(tmp_path / "1_1-0_2-0" / "ends.jsonl", "maya")
    rows(tmp_path / "1_1-0_2-0" / "exposures.txt", "maya")
    assert list(segments_with(tmp_path, "maya")) == []


@pytest.mark.parametrize("line", ["{", "[]", "{}", "3"])
def test_a_line_that_no_export_writes_is_said_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "1_1-0_2-0" / "feedback.jsonl"
    rows(path, "maya")
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InvalidInput, match=r"feedback\.jsonl:2: "):
        list(segments_with(tmp_path, "maya"))


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="missing: cannot be read"):
        list(segments_with(tmp_path / "missing", "maya"))
