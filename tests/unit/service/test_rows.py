"""A bad row is named by file, line and field; one too many ends the reading."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidInput
from service.rows import BadRow, BadRows, broken_byte, foreign, is_json, read_lines

ROW = BadRow("news.jsonl", 3, "title", "is missing")


def test_rows_up_to_the_limit_are_told_and_the_next_one_ends_it() -> None:
    told: list[BadRow] = []
    bad = BadRows(2, told.append, outcome="nothing was changed")
    assert list(bad.sift([1, ROW, 2, ROW])) == [1, 2]
    assert (told, bad.count) == ([ROW, ROW], 2)
    with pytest.raises(
        InvalidInput,
        match=r"news\.jsonl:3: title: is missing \(bad row 3\); nothing was changed: mend it",
    ):
        list(bad.sift([3, ROW]))


@given(st.lists(st.binary(min_size=1, max_size=12).map(lambda row: row.replace(b"\n", b"x"))))
def test_lines_are_numbered_and_what_is_no_utf8_is_found(rows: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.gz"
        path.write_bytes(gzip.compress(b"{}\n" + b"".join(row + b"\n" for row in rows)))
        lines = dict(read_lines(str(path)))
    for number, row in enumerate(rows, 2):
        if number not in lines:
            assert not row.decode("utf-8", "surrogateescape").strip()
            continue
        assert lines[number].encode("utf-8", "surrogateescape") == row + b"\n"
        byte = broken_byte(lines[number])
        good = row if byte is None else row[: byte - 1]
        good.decode()  # all before the broken byte is UTF-8, and what follows is not
        assert byte is None or row[byte - 1 :].decode("utf-8", "replace")[0] == "\ufffd"


def test_a_file_that_breaks_off_says_where(tmp_path: Path) -> None:
    path = tmp_path / "rows.gz"
    packed = gzip.compress(b"".join(b"%d\n" % (number**7) for number in range(50_000)))
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InvalidInput, match=r"cannot read .*rows\.gz after line \d+: "):
        list(read_lines(str(path)))
    with pytest.raises(InvalidInput, match="cannot read /nowhere: No such file"):
        list(read_lines("/nowhere"))


@pytest.mark.parametrize("id_", ["[", "{", "[7]", '{"a'])
def test_an_id_in_columns_may_begin_as_json_does(id_: str) -> None:
    row = f"{id_}\tuser\t11/15/2019 8:00:00 AM\tn1 n2\tn3-1\n"

    assert not is_json(row)
    assert foreign(row) is None
