"""Parquet files: what their columns must be, and what is said where they are not."""

from __future__ import annotations

import sys
from datetime import UTC, date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from service.errors import ConfigurationError, InvalidInput
from service.parquet import Column, Kind, is_parquet, read_table
from service.rows import read_lines
from tests.parts.parquet import MAY_1, MAY_1_MS, write


def values(folder: Path, kind: Kind, type_: pa.DataType, *given: Any) -> list[Any]:
    """What is read of a column of this type with these values."""
    path = folder / "a.parquet"
    file = write(path, pa.schema([("x", type_)]), *({"x": value} for value in given))
    return [row["x"] for _, row in read_table(file, [Column("x", kind)])]


@pytest.mark.parametrize(
    ("kind", "type_", "given", "read"),
    [
        ("id", pa.uint32(), [7, None], ["7", None]),
        ("id", pa.string(), [" a ", " "], ["a", None]),
        ("ids", pa.list_(pa.int32()), [[1, None], [], None], [["1", None], [], None]),
        ("ids", pa.large_list(pa.string()), [["a"]], [["a"]]),
        ("ids", pa.list_(pa.null()), [[]], [[]]),
        ("text", pa.large_string(), ["a ", None], ["a ", None]),
        ("text", pa.dictionary(pa.int32(), pa.string()), ["a", None], ["a", None]),
        ("texts", pa.list_(pa.string()), [["a", None]], [["a", None]]),
        ("time", pa.timestamp("us"), [MAY_1, None], [MAY_1_MS, None]),
        ("time", pa.timestamp("s"), [MAY_1], [MAY_1_MS]),
        ("time", pa.timestamp("ns"), [MAY_1.replace(microsecond=1_999)], [MAY_1_MS + 1]),
        ("time", pa.timestamp("us", "Europe/Copenhagen"), [MAY_1.replace(tzinfo=UTC)], [MAY_1_MS]),
        ("time", pa.date32(), [date(1970, 1, 2)], [86_400_000]),
        ("times", pa.list_(pa.timestamp("ns")), [[MAY_1, None], None], [[MAY_1_MS, None], None]),
        ("times", pa.list_(pa.timestamp("ms", "UTC")), [[MAY_1]], [[MAY_1_MS]]),
        ("times", pa.large_list(pa.date32()), [[date(1970, 1, 2)]], [[86_400_000]]),
    ],
)
def test_ids_are_texts_and_times_are_milliseconds_whatever_they_are_written_as(
    tmp_path: Path, kind: Kind, type_: pa.DataType, given: list[Any], read: list[Any]
) -> None:
    assert values(tmp_path, kind, type_, *given) == read


def test_a_time_beyond_the_calendar_is_none(tmp_path: Path) -> None:
    assert values(tmp_path, "time", pa.timestamp("ms"), 2**62) == [None]


@pytest.mark.parametrize(
    ("kind", "type_", "wanted"),
    [
        ("id", pa.float64(), "of double; wanted are integers or texts"),
        ("ids", pa.int32(), "of int32; wanted are lists of integers or texts"),
        ("ids", pa.list_(pa.float32()), "wanted are lists of integers or texts"),
        ("text", pa.int32(), "of int32; wanted are texts"),
        ("texts", pa.string(), "of string; wanted are lists of texts"),
        ("time", pa.int64(), "of int64; wanted are timestamps"),
        ("times", pa.list_(pa.string()), "wanted are lists of timestamps"),
    ],
)
def test_a_column_of_another_type_is_named_with_what_is_wanted(
    tmp_path: Path, kind: Kind, type_: pa.DataType, wanted: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        values(tmp_path, kind, type_)
    assert str(refused.value).startswith(f"{tmp_path / 'a.parquet'}: x: the column is of")
    assert wanted in str(refused.value)


def test_a_missing_column_is_named_beside_those_that_are_there(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", pa.schema([("id", pa.int32()), ("b", pa.int32())]))
    with pytest.raises(InvalidInput) as refused:
        list(read_table(file, [Column("article_id", "id")]))
    assert "article_id: the column is missing; wanted are integers" in str(refused.value)
    assert "columns are id, b" in str(refused.value)


def test_a_column_that_may_be_missing_is_none(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", pa.schema([("x", pa.int32())]), {"x": 1}, {"x": 2})
    columns = [Column("x", "id"), Column("y", "time", required=False)]
    assert list(read_table(file, columns)) == [
        (1, {"x": "1", "y": None}),
        (2, {"x": "2", "y": None}),
    ]


def test_rows_are_counted_over_row_groups_and_batches(tmp_path: Path) -> None:
    rows = ({"x": value} for value in range(2_500))
    file = write(
        tmp_path / "a.parquet", pa.schema([("x", pa.int32())]), *rows, row_group_size=1_500
    )
    read = [(number, row["x"]) for number, row in read_table(file, [Column("x", "id")])]
    assert read == [(value + 1, str(value)) for value in range(2_500)]


def test_a_file_is_known_by_its_name_or_its_first_bytes(tmp_path: Path) -> None:
    file = Path(write(tmp_path / "a.parquet", pa.schema([("x", pa.int32())])))
    other = file.rename(tmp_path / "a.data")
    assert is_parquet(str(other))
    assert is_parquet("nowhere.parquet")
    assert not is_parquet("-")
    assert not is_parquet("nowhere.tsv")
    with pytest.raises(InvalidInput, match="is Parquet, which is read from a plain file"):
        list(read_lines(str(other)))


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and more", b"id,title\n"])
def test_a_file_that_cannot_be_read_is_one_clear_line(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "a.parquet"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"cannot read .*a\.parquet: ") as refused:
        list(read_table(str(file), [Column("x", "id")]))
    assert "\n" not in str(refused.value)


def test_without_pyarrow_the_remedy_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.startswith("pyarrow")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'interests\[parquet\]'"):
        list(read_table(str(tmp_path / "a.parquet"), [Column("x", "id")]))
