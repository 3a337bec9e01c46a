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
from service.retrieval.indexes.readers import ReadArticles, read_articles, read_ids
from service.rows import BadRow
from tests.parts import parquet

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


HTML = "<b>Rate</b> cut &amp;\u00a0run"


def test_html_is_cleaned_out_of_all_texts_of_both_formats_and_counted(tmp_path: Path) -> None:
    fields = {"id": "1", "title": HTML, "abstract": f"<p>{HTML}</p>", "body": HTML}
    row = json.dumps(fields | {"category": "Arts &amp; Culture", "entities": ["R&amp;D", "<br>"]})
    entities = json.dumps([{"Label": "R&amp;D"}])
    file, mind = tmp_path / "a.jsonl", tmp_path / "news.tsv"
    file.write_text(f'{row}\n{{"id": "2", "title": "Two  words"}}\n', encoding="utf-8")
    mind.write_text(f"1\tArts &amp; Culture\t\t{HTML}\t<p>{HTML}\tu\t{entities}\t\n", "utf-8")
    seen = ReadArticles()
    clean = "Rate cut & run"
    first, second = read_articles(str(file), seen=seen)
    assert first == Article("1", clean, clean, clean, "Arts & Culture", ("R&D",))
    assert second == Article("2", "Two words")
    assert seen.with_html == 1
    (third,) = read_articles(str(mind), seen=seen)
    assert third == Article("1", clean, clean, "", "Arts & Culture", ("R&D",))
    assert (seen.with_html, seen.undated) == (2, 3)


def test_parquet_becomes_articles_whose_counts_of_readers_are_left_out(tmp_path: Path) -> None:
    more = {"subtitle": "<p>Two", "body": "All", "category_str": "nyheder", "total_pageviews": 9}
    undated = {"published_time": None, "ner_clusters": ["Aarhus"]}
    file = parquet.write(
        tmp_path / "articles.parquet",
        parquet.ARTICLES,
        parquet.article(7, " One &amp; all", **more),
        parquet.article(8, "Three", **undated),
    )
    seen = ReadArticles()
    assert list(read_articles(file, 5, seen)) == [
        Article("7", "One & all", "Two", "All", "nyheder", published_ms=parquet.MAY_1_MS),
        Article("8", "Three", entities=("Aarhus",), published_ms=5),
    ]
    assert seen.with_html == 1


def test_a_bad_row_of_parquet_names_its_number_and_column(tmp_path: Path) -> None:
    file = parquet.write(
        tmp_path / "articles.parquet",
        parquet.ARTICLES,
        parquet.article(1, "Good"),
        {"title": "No id"},
        {"article_id": 3},
        parquet.article(4, "A", ner_clusters=[None]),
        parquet.article(5, "Good"),
    )
    first, *bad, last = read_articles(file)
    assert isinstance(first, Article)
    assert isinstance(last, Article)
    assert [str(row).removeprefix(file).split(" must")[0] for row in bad] == [
        ":2: article_id:",
        ":3: title:",
        ":4: ner_clusters:",
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
        ('{"id": "1", "title": "<p>&nbsp;</p>"}', "title: must be"),
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
    "spelling",
    ["published_at", "publishedAt", "pubDate", "published_time", "datePublished", "date"],
)
def test_a_date_may_have_the_names_that_feeds_give_it(tmp_path: Path, spelling: str) -> None:
    for value in ("2018-02-28T10:30:00Z", "Wed, 28 Feb 2018 10:30:00 GMT", 1_519_813_800_000):
        (found,) = rows(tmp_path, json.dumps({"id": "1", "title": "A", spelling: value}))
        assert found == Article("1", "A", published_ms=1_519_813_800_000)
    (bad,) = rows(tmp_path, json.dumps({"id": "1", "title": "A", spelling: "soon"}))
    assert f":1: {spelling}: 'soon' is not ISO 8601" in str(bad)


def test_of_two_dates_the_one_of_our_own_name_counts(tmp_path: Path) -> None:
    both = '{"id": "1", "title": "A", "date": "soon", "published": "1970-01-02"}'
    none = '{"id": "1", "title": "A", "date": null, "pubDate": ""}'
    assert rows(tmp_path, both) == [Article("1", "A", published_ms=86_400_000)]
    assert rows(tmp_path, none, published_ms=5) == [Article("1", "A", published_ms=5)]


@pytest.mark.parametrize("name", ["a.json", "a.data", "a.csv"])
@pytest.mark.parametrize(
    ("first", "what"),
    [
        ('[{"id": "1", "title": "A"}]', "this is a JSON array; what is wanted"),
        ("[", "this is a JSON array; what is wanted"),
        ("id,title,published", "this looks like CSV; what is wanted is JSON lines, or MIND's"),
        ("Once upon a time", "this is neither JSON lines nor MIND's"),
    ],
)
def test_a_file_of_another_format_is_named_by_it(
    tmp_path: Path, name: str, first: str, what: str
) -> None:
    assert f"{name}:1: {what}" in str(rows(tmp_path, first, name=name)[0])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("N1\tnews\tTitle", "3 columns where MIND's news.tsv has 8"),
        ("N1\tnews\ts\t\t\tu\t[]\t[]", "title: must be"),
        ("N1\tnews\ts\t<br/>\t\tu\t[]\t[]", "title: must be"),
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
