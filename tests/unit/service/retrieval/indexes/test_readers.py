"""Files of articles: what is read, and how a row that cannot be read is named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidInput
from service.records import Article
from service.retrieval.indexes.readers import read_articles, read_ids
from service.rows import BadRow

ENTITIES = json.dumps([{"Label": "Lisbon", "Type": "G"}, {"Label": "Tagus", "Type": "N"}])


def rows(
    folder: Path, *lines: str | bytes, name: str = "news.jsonl", **options: int
) -> list[object]:
    file = folder / name
    file.write_bytes(
        b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    )
    return list(read_articles(str(file), **options))


def test_a_json_line_becomes_an_article_and_unknown_keys_are_passed_over(tmp_path: Path) -> None:
    line = {
        "id": "n1",
        "title": " Ferry strike ends ",
        "abstract": "Crews return.",
        "body": "All lines run again.",
        "category": "transport",
        "entities": ["Lisbon", ""],
        "published": "2026-05-31T08:00:00Z",
        "popularity": 12,
        "url": "https://example.org",
        "colour": "blue",
    }
    assert rows(tmp_path, json.dumps(line)) == [
        Article(
            id="n1",
            title="Ferry strike ends",
            abstract="Crews return.",
            body="All lines run again.",
            category="transport",
            entities=("Lisbon",),
            published_ms=1_780_214_400_000,
            popularity=12.0,
        )
    ]


def test_id_and_title_are_enough_and_an_article_without_date_gets_the_one_given(
    tmp_path: Path,
) -> None:
    found = rows(tmp_path, '{"id": 7, "title": "Calm"}', published_ms=5)
    assert found == [Article(id="7", title="Calm", published_ms=5)]


def test_the_first_topic_stands_in_for_a_missing_category(tmp_path: Path) -> None:
    found = rows(tmp_path, '{"id": "r", "title": "Cocoa", "topics": ["cocoa", "crop"]}')
    assert [row.category for row in found if isinstance(row, Article)] == ["cocoa"]


def test_a_row_of_mind_becomes_an_article(tmp_path: Path) -> None:
    row = f"N1\tnews\tlocal\tFerry strike\tCrews.\thttps://x\t{ENTITIES}\t[]"
    bare = "N2\tnews\tlocal\tCalm\t\thttps://x\t\t"
    assert rows(tmp_path, row, bare, name="news.tsv") == [
        Article(
            id="N1",
            title="Ferry strike",
            abstract="Crews.",
            category="news",
            entities=("Lisbon", "Tagus"),
        ),
        Article(id="N2", title="Calm", category="news"),
    ]


def test_a_nameless_format_is_known_by_its_first_character(tmp_path: Path) -> None:
    assert isinstance(rows(tmp_path, '{"id": "1", "title": "A"}', name="a.data")[0], Article)
    assert isinstance(rows(tmp_path, "N\tc\ts\tA\t\tu\t[]\t[]", name="b.data")[0], Article)


def test_a_gzipped_file_with_a_byte_order_mark_and_blank_lines_is_read(tmp_path: Path) -> None:
    file = tmp_path / "news.jsonl.gz"
    file.write_bytes(gzip.compress(b'\xef\xbb\xbf{"id":"1","title":"A"}\r\n\r\n{"id":"2"}\n'))
    first, second = read_articles(str(file))
    assert first == Article(id="1", title="A")
    assert isinstance(second, BadRow)
    assert second.line == 3


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("nonsense", "not JSON"),
        ("[1, 2]", "not a JSON object: one article a line"),
        ('{"title": "A"}', "id: must be"),
        ('{"id": true, "title": "A"}', "id: must be"),
        (f'{{"id": "{"x" * 129}", "title": "A"}}', "id: is longer than 128 bytes"),
        (f'{{"id": "{"ü" * 65}", "title": "A"}}', "id: is longer than 128 bytes"),
        ('{"id": "1", "title": "  "}', "title: must be"),
        ('{"id": "1", "title": ["A"]}', "title: must be a text, not list"),
        ('{"id": "1", "title": "A", "entities": "Lisbon"}', "entities: must be a list"),
        ('{"id": "1", "title": "A", "popularity": "high"}', "popularity: must be a number"),
        ('{"id": "1", "title": "A", "popularity": -1}', "popularity: must be between"),
        ('{"id": "1", "title": "A", "published": "soon"}', "published: 'soon' is not ISO 8601"),
        ('{"id": "1", "title": "A", "published": 1780214400}', "published: looks like seconds"),
        ('{"id": "1", "title": "\\ud800"}', "not JSON"),
        (b'{"id": "1", "title": "\xff"}', "byte 23 is not UTF-8"),
    ],
)
def test_a_bad_row_names_file_line_field_and_reason(
    tmp_path: Path, row: str | bytes, message: str
) -> None:
    good = '{"id": "0", "title": "Good"}'
    before, bad, after = rows(tmp_path, good, row, good)
    assert before == after == Article(id="0", title="Good")
    assert str(bad).startswith(f"{tmp_path / 'news.jsonl'}:2: {message}")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("N1\tnews\tTitle", "3 columns where MIND's news.tsv has 8"),
        ("N1\tnews\ts\t\t\tu\t[]\t[]", "title: must be"),
        ("N1\tnews\ts\tA\t\tu\t[{]\t[]", "title_entities: must be a JSON list"),
        ("N1\tnews\ts\tA\t\tu\t[]\t[1]", "abstract_entities: must be a JSON list"),
    ],
)
def test_a_bad_row_of_mind_names_its_column(tmp_path: Path, row: str, message: str) -> None:
    (bad,) = rows(tmp_path, row, name="news.tsv")
    assert message in str(bad)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"cannot read .*none.jsonl: No such file"):
        list(read_articles(str(tmp_path / "none.jsonl")))
    torn = tmp_path / "torn.jsonl.gz"
    torn.write_bytes(gzip.compress(b'{"id":"1","title":"A"}\n' * 5000)[:-20])
    with pytest.raises(InvalidInput, match=r"cannot read .*torn.jsonl.gz after line"):
        list(read_articles(str(torn)))


def test_ids_come_one_a_line_or_as_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "ids"
    long = "x" * 300  # what an earlier version took can be removed
    file.write_text(f'n1\n\n{{"id": "n2"}}\n n3 \n{long}\n{{"id": "{long}"}}')
    assert list(read_ids(str(file))) == ["n1", "n2", "n3", long, long]
    file.write_text('n1\n{"id": ""}')
    with pytest.raises(InvalidInput, match=r"ids:2: "):
        list(read_ids(str(file)))


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_no_bytes_make_the_reader_fail(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    file = tmp_path_factory.mktemp("any") / "news.data"
    file.write_bytes(b"x" + b"\n".join(lines))
    for row in read_articles(str(file)):
        assert isinstance(row, Article | BadRow)
