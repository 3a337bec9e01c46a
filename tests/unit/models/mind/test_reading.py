"""Logs in MIND's format: what is read, and how a row that cannot be read is named."""

from __future__ import annotations

import gzip
import os
from datetime import timedelta
from pathlib import Path

import pytest

from models.mind.liveness import Liveness
from models.mind.reading import read_histories, read_impressions
from service.dates import parse_time
from service.errors import InvalidInput
from service.records import Article
from service.retrieval.indexes.readers import read_articles
from service.rows import BadRow, BadRows
from service.signals.clicks import Impression
from tests.parts import parquet

ROW = "1\tU13740\t11/11/2019 9:05:58 AM\tN55189 N42782\tN55689-1 N35729-0"
GOOD = Impression(
    "1",
    "U13740",
    parse_time("2019-11-11T09:05:58Z", "at"),
    ("N55189", "N42782"),
    (("N55689", True), ("N35729", False)),
)


def read(folder: Path, content: str | bytes) -> list[Impression | BadRow]:
    """The rows of a log with this content."""
    file = folder / "behaviors.tsv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_impressions(str(file)))


def test_a_row_of_five_columns_is_an_impression_with_its_time(tmp_path: Path) -> None:
    assert read(tmp_path, f"{ROW}\n") == [GOOD]


def test_a_row_of_four_columns_is_one_without(tmp_path: Path) -> None:
    assert read(tmp_path, "7\tU1\tN1\tN2-0 N3-1\r\n") == [
        Impression("7", "U1", None, ("N1",), (("N2", False), ("N3", True)))
    ]


def test_a_row_of_four_columns_whose_second_is_a_time_has_no_impression(tmp_path: Path) -> None:
    row = "U13740\t11/11/2019 9:05:58 AM\tN55189 N42782\tN55689-1 N35729-0"
    (impression,) = read(tmp_path, row)
    assert isinstance(impression, Impression)
    assert (impression.user, impression.at_ms) == ("U13740", 1573463158000)
    assert impression.history == ("N55189", "N42782")
    assert impression.shown == (("N55689", True), ("N35729", False))
    assert impression.id


def test_a_time_is_no_user(tmp_path: Path) -> None:
    row = "U1\t11/11/2019 9:05:58 AM\t11/11/2019 9:05:58 AM\tN1\tN2-1"
    (bad,) = read(tmp_path, row)
    assert isinstance(bad, BadRow)
    assert (bad.line, bad.field) == (1, "user")
    assert "is a time; columns are impression, user, time" in bad.why


def test_a_new_user_has_no_history_and_an_impression_may_show_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "1\tU\t\tN1-1\n2\tU\t\t\n") == [
        Impression("1", "U", None, (), (("N1", True),)),
        Impression("2", "U", None, (), ()),
    ]


def test_ids_may_hold_a_hyphen(tmp_path: Path) -> None:
    assert read(tmp_path, "1\tU\tbattery-ferry-12\tbattery-ferry-12-1") == [
        Impression("1", "U", None, ("battery-ferry-12",), (("battery-ferry-12", True),))
    ]


def test_gzip_a_byte_order_mark_and_blank_lines_are_fine(tmp_path: Path) -> None:
    assert read(tmp_path, gzip.compress(f"\ufeff{ROW}\r\n\r\n{ROW}".encode())) == [GOOD, GOOD]


def test_a_minus_is_standard_input() -> None:
    reading, writing = os.pipe()
    os.write(writing, f"{ROW}\nx\n".encode())
    os.close(writing)
    kept = os.dup(0)
    os.dup2(reading, 0)
    try:
        good, bad = read_impressions("-")
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(reading)
    assert good == GOOD
    assert str(bad).startswith("stdin:2: 1 columns")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"1\tU1\tN1", "3 columns; a click log has 4 or 5"),
        (b"\tU1\tN1\tN2-1", "impression: must be a text that is not empty"),
        (b"1\t \tN1\tN2-1", "user: must be a text that is not empty"),
        (b"1\tU1\t2019-11-11\tN1\tN2-1", "time: '2019-11-11' is not a time like"),
        (b"1\tU1\t11/11/2019 13:00:00 PM\tN1\tN2-1", "time: '11/11/2019 13:00:00 PM' has no such"),
        (b"1\tU1\t13/11/2019 1:00:00 PM\tN1\tN2-1", "time: month must be in"),
        (b"1\tU1\tN1\tN2 N3", "shown: 'N2' is not <article id>-0"),
        (b"1\tU1\tN1\tN2-2", "shown: 'N2-2' is not <article id>-0"),
        (b"1\tU1\tN1\t-1", "shown: an article's id is missing"),
        ("1\té\t\xff".encode("latin-1"), "byte 3 is not UTF-8"),
    ],
)
def test_a_bad_row_names_file_line_column_and_reason_and_the_rest_is_read(
    tmp_path: Path, row: bytes, message: str
) -> None:
    before, bad, after = read(tmp_path, b"\n".join([ROW.encode(), b"", row, ROW.encode()]))
    assert before == after == GOOD
    assert str(bad).startswith(f"{tmp_path / 'behaviors.tsv'}:3: {message}")


def test_an_impression_in_parquet_has_the_history_of_its_user_up_to_it(tmp_path: Path) -> None:
    hour = timedelta(hours=1)
    rows = (
        parquet.impression(n, user, article_ids_inview=[4, 5], article_ids_clicked=[5])
        for n, user in ((1, 13), (2, 14))
    )
    log = parquet.write(tmp_path / "behaviors.parquet", parquet.BEHAVIORS, *rows)
    read_before = parquet.history(
        13, (2, parquet.MAY_1 - hour), (3, parquet.MAY_1), (1, parquet.MAY_1 - 2 * hour)
    )
    file = parquet.write(tmp_path / "history.parquet", parquet.HISTORY, read_before)
    shown = (("4", False), ("5", True))
    at_ms = parquet.MAY_1_MS
    bare = [Impression("1", "13", at_ms, (), shown), Impression("2", "14", at_ms, (), shown)]
    assert list(read_impressions(log)) == bare
    first, second = read_impressions(log, read_histories(file, BadRows()))
    hour_ms = 3_600_000
    times = (at_ms - 2 * hour_ms, at_ms - hour_ms)
    assert first == Impression("1", "13", at_ms, ("1", "2"), shown, times)
    assert second == bare[1]


def test_a_file_of_another_format_is_named_by_it(tmp_path: Path) -> None:
    assert "behaviors.tsv:1: this looks like CSV" in str(read(tmp_path, "user,time,shown")[0])
    assert "behaviors.tsv:1: this is a JSON array" in str(read(tmp_path, '[{"user": 1}]')[0])
    assert "4 or 5, separated by tabs" in str(read(tmp_path, '{"user": 1}')[0])


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"cannot read .*none.tsv: No such file"):
        list(read_impressions(str(tmp_path / "none.tsv")))
    with pytest.raises(InvalidInput, match=r"cannot read .*behaviors.tsv"):
        read(tmp_path, gzip.compress(f"{ROW}\n".encode() * 5000)[:-20])


@pytest.mark.skipif(
    "INTERESTS_TEST_DATA" not in os.environ, reason="INTERESTS_TEST_DATA names no real logs"
)
def test_the_log_of_real_readers_is_read_without_a_bad_row() -> None:
    """The folder holds `nemig_en/behaviors.tsv.gz` (no times) and `nemig_en/titles.jsonl.gz`."""
    folder = Path(os.environ["INTERESTS_TEST_DATA"]) / "nemig_en"
    articles = list(read_articles(str(folder / "titles.jsonl.gz")))
    impressions = list(read_impressions(str(folder / "behaviors.tsv.gz")))
    assert {type(row) for row in articles} == {Article}
    assert {type(row) for row in impressions} == {Impression}
    log = [row for row in impressions if isinstance(row, Impression)]
    assert (len(articles), len(log), len({impression.user for impression in log})) == (
        10_127,
        15_000,
        3_000,
    )
    assert sum(clicked for impression in log for _, clicked in impression.shown) == 14_148
    known = [row for row in articles if isinstance(row, Article)]
    shown = {id_ for impression in log for id_, _ in impression.shown}
    assert set(Liveness(known, log).live_at(None)) == shown & {article.id for article in known}
