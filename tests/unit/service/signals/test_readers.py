from __future__ import annotations

import gzip
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from service.dates import parse_time
from service.errors import InvalidInput
from service.records import Signal
from service.rows import BadRow, BadRows
from service.signals.merge import signal_id
from service.signals.read_log import ReadLog
from service.signals.readers import read_signals
from service.signals.titles import read_titles
from tests.parts import parquet

NOW = parse_time("2026-01-01T00:00:00Z", "at")
HOUR = 3_600_000


class Heard(BadRows):
    """Bad rows that are remembered."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit, lambda row: self.rows.append(row))
        self.rows: list[BadRow] = []


def read(
    folder: Path,
    content: str | bytes,
    *,
    max_errors: int = 0,
    titles: dict[str, tuple[str, str | None]] | None = None,
) -> tuple[list[tuple[str, Signal]], ReadLog]:
    """Signals of a file with this content, and what was left out."""
    path = folder / "signals"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    log = ReadLog(Heard(max_errors))
    rows = read_signals(str(path), log, NOW, titles)
    return [(user, signal) for user, signals in rows for signal in signals], log


def test_a_row_gives_a_signal_with_every_field(tmp_path: Path) -> None:
    row = (
        '{"user_id":"u","at":"2025-12-31T23:59:00+01:00","domain":"purchase","text":" tent ",'
        '"id":"p1","item":"sku","category":"outdoor","weight":2}'
    )
    found, _ = read(tmp_path, row)
    at_ms = parse_time("2025-12-31T22:59:00Z", "at")
    assert found == [("u", Signal(at_ms, "purchase", "tent", "p1", "sku", "outdoor", 2.0))]


def test_time_may_be_milliseconds_and_the_id_may_be_left_to_us(tmp_path: Path) -> None:
    found, _ = read(
        tmp_path, '\n{"user_id":"u","at":1700000000000,"domain":"video","text":"x"}\n\n'
    )
    expected = signal_id("video", 1_700_000_000_000, "x")
    assert found == [("u", Signal(1_700_000_000_000, "video", "x", expected))]


def test_gzipped_files_and_a_byte_order_mark_are_fine(tmp_path: Path) -> None:
    row = '\ufeff{"user_id":"u","at":1700000000000,"domain":"video","text":"x"}'.encode()
    assert read(tmp_path, gzip.compress(row))[0] == read(tmp_path, row)[0] != []


def test_an_empty_file_holds_no_signals(tmp_path: Path) -> None:
    assert read(tmp_path, "\n \n")[0] == []


GOOD = '{"user_id":"u","at":1700000000000,"domain":"news","text":"x"}'


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ('{"user_id":', "not JSON"),
        (
            '{"user_id":"u","at":1700000000000,"domain":"food","text":"x"}',
            "domain: must be one of search",
        ),
        ('{"user_id":"u","at":1700000000000,"domain":"news"}', "text: is missing"),
        ('{"user_id":"u","at":1700000000000,"domain":"news","text":" "}', "text: must be a text"),
        ('{"user_id":7,"at":1700000000000,"domain":"news","text":"x"}', "user_id: must be a text"),
        ('{"at":1700000000000,"domain":"news","text":"x"}', "user_id: is missing"),
        ('{"user_id":"u","domain":"news","text":"x"}', "at: is missing"),
        ('{"user_id":"u","at":"noon","domain":"news","text":"x"}', "at: 'noon' is not ISO 8601"),
        ('{"user_id":"u","at":1e999,"domain":"news","text":"x"}', "not JSON"),
        (
            '{"user_id":"u","at":1700000000000,"domain":"news","text":"x","weight":"1"}',
            "weight: must be a number",
        ),
        (
            '{"user_id":"u","at":1700000000000,"domain":"news","text":"x","weight":-1}',
            "weight: must be a positive",
        ),
        (
            '{"user_id":"u","at":1700000000000,"domain":"news","text":"x","colour":1}',
            "unknown field 'colour'",
        ),
        (
            '{"user_id":"a\\u0000","at":1700000000000,"domain":"news","text":"x"}',
            "user_id: must not hold control",
        ),
        (
            f'{{"user_id":"u","at":{NOW + 400_000},"domain":"news","text":"x"}}',
            "at: lies 400 s ahead",
        ),
        ('{"user_id":"u","at":1700000000000,"domain":"news","text":"<br>"}', "text: is nothing"),
        ("[1]", "not a JSON object"),
    ],
)
def test_a_bad_row_is_reported_with_file_and_line(tmp_path: Path, row: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as stopped:
        read(tmp_path, f"{GOOD}\n\n{row}\n")
    assert str(stopped.value).startswith(f"{tmp_path}/signals:3: {problem}")
    found, log = read(
        tmp_path, f"{row}\n{GOOD}\n" if row[0] == "{" else f"{GOOD}\n{row}", max_errors=1
    )
    assert len(found) == 1
    assert problem in str(log.bad.rows[0])


def test_bytes_that_are_no_utf8_make_that_row_bad_only(tmp_path: Path) -> None:
    found, log = read(tmp_path, GOOD.encode() + b"\n" + b'{"user_id":"\xff"}\n', max_errors=1)
    assert len(found) == 1
    assert ":2: byte 13 is not UTF-8" in str(log.bad.rows[0])


def test_reading_stops_at_the_first_row_too_many(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"signals:4: .*\(bad row 3\)"):
        read(tmp_path, f"{GOOD}\n{{\n{{\n{{\n{{", max_errors=2)


def test_a_missing_or_broken_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot read /nowhere: No such file"):
        list(read_signals("/nowhere", ReadLog(), NOW))
    with pytest.raises(InvalidInput, match="cannot read"):
        read(tmp_path, gzip.compress(GOOD.encode())[:-12])
    with pytest.raises(InvalidInput, match="cannot read"):
        list(read_signals(str(tmp_path), ReadLog(), NOW))


# --- click logs ------------------------------------------------------------------------------

TITLES = {"N1": ("First", "a"), "N2": ("Second", None), "N3": ("Third", "c")}


def test_a_mind_row_gives_its_history_and_clicks_as_news_signals(tmp_path: Path) -> None:
    found, log = read(tmp_path, "1\tU1\t11/15/2019 2:05:58 PM\tN1 N2\tN3-1 N4-0\n", titles=TITLES)
    at_ms = parse_time("2019-11-15T14:05:58Z", "at")
    assert found == [
        ("U1", Signal(at_ms - 2 * HOUR, "news", "First", "news:N1", "N1", "a")),
        ("U1", Signal(at_ms - HOUR, "news", "Second", "news:N2", "N2", None)),
        ("U1", Signal(at_ms, "news", "Third", "news:N3", "N3", "c")),
    ]
    assert log.unknown_articles == 0


@pytest.mark.parametrize(
    ("clock", "hour"), [("12:00:00 AM", 0), ("12:00:00 PM", 12), ("9:00:00 AM", 9)]
)
def test_the_clock_of_mind_has_twelve_hours(tmp_path: Path, clock: str, hour: int) -> None:
    ((_, one),), _ = read(tmp_path, f"1\tU\t1/2/2019 {clock}\t\tN1-1", titles=TITLES)
    assert one.at_ms == parse_time("2019-01-02T00:00:00Z", "at") + hour * HOUR


def test_a_log_without_times_is_spread_before_the_time_given(tmp_path: Path) -> None:
    found, log = read(tmp_path, "7\tU1\tN1 N9\tN2-0 N3-1 N2-1\n8\tU2\t\tN1-0", titles=TITLES)
    assert [(one.item, one.at_ms) for _, one in found] == [
        ("N1", NOW - 2 * HOUR),
        ("N3", NOW - 1_000),
        ("N2", NOW),
    ]
    assert log.unknown_articles == 1


def test_a_log_without_titles_asks_for_them(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--news FILE"):
        read(tmp_path, "1\tU1\tN1\tN2-1\n")


@pytest.mark.parametrize(
    ("first", "what"),
    [
        (f"[{GOOD}]", "this is a JSON array; what is wanted is an object on each line"),
        ("user_id,at,domain,text", "this looks like CSV; what is wanted is JSON lines, or"),
        ("hello", "this is neither JSON lines nor MIND's"),
    ],
)
def test_a_file_of_another_format_is_named_by_it(tmp_path: Path, first: str, what: str) -> None:
    for titles in (None, TITLES):
        with pytest.raises(InvalidInput, match=f"signals:2: {what}"):
            read(tmp_path, f"\n{first}\n{GOOD}", titles=titles)
    with pytest.raises(InvalidInput, match=f"signals:2: {what}"):
        read_titles(str(tmp_path / "signals"), ReadLog())


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("1\tU1", "2 columns"),
        ("1\tU1\tN1\tN2", "'N2' is not <article id>-0"),
        ("1\tU1\t2019\tN1\tN2-1", "'2019' is not a time"),
        ("1\tU1\t11/15/2019 13:00:00 PM\tN1\tN2-1", "no such hour"),
        ("1\tU1\t15/11/2019 1:00:00 PM\tN1\tN2-1", "month must be in"),
        ("1\t\tN1\tN2-1", "user: must be a text"),
    ],
)
def test_a_bad_row_of_a_log_is_reported_with_file_and_line(
    tmp_path: Path, row: str, problem: str
) -> None:
    with pytest.raises(InvalidInput, match=f"signals:1: .*{problem}"):
        read(tmp_path, row, titles=TITLES)


def test_titles_come_from_news_tsv_or_json_lines(tmp_path: Path) -> None:
    tsv, lines = tmp_path / "news.tsv", tmp_path / "articles.jsonl.gz"
    tsv.write_text("N1\tsports\tgolf\tA title\tAbstract\turl\t[]\t[]\n")
    lines.write_bytes(gzip.compress(b'{"id":"N1","title":"A title","category":"sports","x":1}\n'))
    for path in (tsv, lines):
        assert read_titles(str(path), ReadLog()) == {"N1": ("A title", "sports")}


def test_html_is_cleaned_out_of_titles_and_counted(tmp_path: Path) -> None:
    path, log = tmp_path / "news", ReadLog()
    path.write_text(
        "N1\tsports &amp; fun\tgolf\t<b>Rate</b> cut &amp; run\t\turl\t[]\t[]\n"
        '{"id":"N2","title":"It&#39;s  late"}\n{"id":"N3","title":"Two  words"}\n'
    )
    assert read_titles(str(path), log) == {
        "N1": ("Rate cut & run", "sports & fun"),
        "N2": ("It's late", None),
        "N3": ("Two words", None),
    }
    assert log.with_html == 3


def test_what_was_searched_stays_and_other_texts_are_cleaned(tmp_path: Path) -> None:
    rows = [GOOD.replace('"news"', f'"{domain}"') for domain in ("search", "browse", "news")]
    text = '"text":"<b>Rate</b> cut &amp; run"'
    found, log = read(tmp_path, "\n".join(rows).replace('"text":"x"', text))
    clean = "Rate cut & run"
    assert [one.text for _, one in found] == ["<b>Rate</b> cut &amp; run", clean, clean]
    assert log.with_html == 2
    sent = signal_id("news", 1_700_000_000_000, "<b>Rate</b> cut &amp; run")
    assert found[2][1].id == sent, "so that it is the same event by whatever way it comes"


@pytest.mark.parametrize(
    "row",
    [
        "N1\ts\tg\t<br>\t",
        '{"id":"N1","title":" "}',
        "N1\tsports",
        '{"id":1,"title":"x"}',
        '{"id":"N1"}',
        "{",
    ],
)
def test_a_bad_article_is_reported_with_file_and_line(tmp_path: Path, row: str) -> None:
    path = tmp_path / "news"
    path.write_text(row)
    with pytest.raises(InvalidInput, match="news:1: "):
        read_titles(str(path), ReadLog())


# --- click logs in Parquet --------------------------------------------------------------------


def in_parquet(
    file: str, max_errors: int = 0, titles: dict[str, tuple[str, str | None]] | None = None
) -> tuple[list[tuple[str, Signal]], ReadLog]:
    """Signals of a file, and what was left out."""
    log = ReadLog(Heard(max_errors))
    rows = read_signals(file, log, NOW, {"1": ("First", "a")} if titles is None else titles)
    return [(user, signal) for user, signals in rows for signal in signals], log


def test_clicks_in_parquet_become_news_signals(tmp_path: Path) -> None:
    row = parquet.impression(5, 13, article_ids_inview=[1, 2], article_ids_clicked=[1])
    unclicked = parquet.impression(6, 14, article_ids_inview=[1])
    unknown = parquet.impression(7, 15, article_ids_clicked=[3])
    file = parquet.write(tmp_path / "behaviors.parquet", parquet.BEHAVIORS, row, unclicked, unknown)
    found, log = in_parquet(file)
    assert found == [("13", Signal(parquet.MAY_1_MS, "news", "First", "news:1", "1", "a"))]
    assert log.unknown_articles == 1


def test_a_history_in_parquet_becomes_news_signals_of_their_own_times(tmp_path: Path) -> None:
    later = parquet.MAY_1 + timedelta(hours=2, microseconds=999)
    row = parquet.history(13, (2, later), (1, parquet.MAY_1), (9, later))
    file = parquet.write(tmp_path / "history.parquet", parquet.HISTORY, row)
    found, log = in_parquet(file, titles={"1": ("First", None), "2": ("Second", None)})
    assert found == [
        ("13", Signal(parquet.MAY_1_MS, "news", "First", "news:1", "1")),
        ("13", Signal(parquet.MAY_1_MS + 2 * HOUR, "news", "Second", "news:2", "2")),
    ]
    assert log.unknown_articles == 1


def test_a_bad_row_of_parquet_is_named_by_number_and_column(tmp_path: Path) -> None:
    good = parquet.impression(1, 1, article_ids_clicked=[1])
    behaviors = parquet.write(
        tmp_path / "behaviors.parquet",
        parquet.BEHAVIORS,
        good,
        good | {"user_id": None},
        good | {"impression_time": None},
        good | {"article_ids_clicked": None},
        good | {"article_ids_inview": [None]},
        good | {"impression_id": None},
        good | {"impression_time": datetime(2026, 5, 1)},
    )
    twice = parquet.history(1, (1, parquet.MAY_1))
    history = parquet.write(
        tmp_path / "history.parquet",
        parquet.HISTORY,
        twice | {"article_id_fixed": [1, 2]},
        twice | {"impression_time_fixed": [None]},
        twice | {"impression_time_fixed": None},
        twice | {"user_id": None},
    )
    with pytest.raises(InvalidInput, match=r"behaviors\.parquet:2: user_id: is missing"):
        in_parquet(behaviors)
    found, log = in_parquet(behaviors, max_errors=6)
    assert len(found) == 1
    assert [(row.line, row.field) for row in log.bad.rows] == [
        (2, "user_id"),
        (3, "impression_time"),
        (4, "article_ids_clicked"),
        (5, "article_ids_inview"),
        (6, "impression_id"),
        (7, "at"),
    ]
    found, log = in_parquet(history, max_errors=4)
    assert found == []
    assert [(row.line, row.field) for row in log.bad.rows] == [
        (1, "impression_time_fixed"),
        (2, "impression_time_fixed"),
        (3, "impression_time_fixed"),
        (4, "user_id"),
    ]


def test_parquet_of_another_shape_is_refused_with_what_is_wanted(tmp_path: Path) -> None:
    articles = parquet.write(tmp_path / "articles.parquet", parquet.ARTICLES)
    with pytest.raises(InvalidInput, match="is neither a log nor a history: a log has impression"):
        in_parquet(articles)
    schema = parquet.BEHAVIORS
    test_set = parquet.write(
        tmp_path / "test.parquet", schema.remove(schema.get_field_index("article_ids_clicked"))
    )
    with pytest.raises(InvalidInput, match="article_ids_clicked: the column is missing"):
        in_parquet(test_set)
    with pytest.raises(InvalidInput, match="--news FILE"):
        list(read_signals(test_set, ReadLog(), NOW))


def test_titles_come_from_parquet_too(tmp_path: Path) -> None:
    file = parquet.write(
        tmp_path / "articles.parquet",
        parquet.ARTICLES,
        parquet.article(1, "One &amp; all", category_str="nyheder"),
        parquet.article(2, "Two"),
        parquet.article(3, ""),
    )
    log = ReadLog(Heard(1))
    assert read_titles(file, log) == {"1": ("One & all", "nyheder"), "2": ("Two", None)}
    assert [(row.line, row.why.split(":")[0]) for row in log.bad.rows] == [(3, "title")]
