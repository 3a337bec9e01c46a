"""What is written in MIND's format reads back, and is there complete or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.mind.reading import read_impressions
from models.mind.writing import LOG, NEWS, write_mind
from service.dates import parse_time
from service.errors import ConfigurationError, InvalidInput
from service.records import Article
from service.retrieval.indexes.readers import read_articles
from service.signals.clicks import Impression
from service.words.markup import plain

ANY_ID = st.text(min_size=1, max_size=8) | st.sampled_from(["N1", "a-1", "ü", "\ufeffN"])
ID = ANY_ID.filter(lambda text: text.isprintable() and " " not in text)
ANY_TEXT = st.text(max_size=20) | st.sampled_from(["a\tb", "a\r\nb", "a\u2028b", '"quoted', "\\N"])
TITLE = ANY_TEXT.map(lambda text: f"T{text}")
SECONDS = st.integers(-62_135_596_800, 253_402_300_799)  # the years 1 to 9999
ARTICLES = st.lists(
    st.builds(Article, id=ID, title=TITLE, abstract=ANY_TEXT, category=ANY_TEXT), max_size=5
)
IMPRESSIONS = st.lists(
    st.builds(
        Impression,
        id=ID,
        user=ID,
        at_ms=st.none() | SECONDS.map(lambda second: second * 1000),
        history=st.lists(ID, max_size=3).map(tuple),
        shown=st.lists(st.tuples(ID, st.booleans()), max_size=4).map(tuple),
    ),
    max_size=5,
)
ARTICLE = Article("N1", "A title", category="news")
IMPRESSION = Impression("1", "U1", parse_time("2019-11-15T20:05:58Z", "at"), (), (("N1", True),))


def read(folder: Path) -> tuple[list[object], list[object]]:
    return list(read_articles(str(folder / NEWS))), list(read_impressions(str(folder / LOG)))


# --- the round trip --------------------------------------------------------------------------


@given(ARTICLES, IMPRESSIONS)
def test_what_is_written_reads_back_equal(
    articles: list[Article], impressions: list[Impression]
) -> None:
    with TemporaryDirectory() as folder:
        write_mind(Path(folder), articles, impressions)
        kept = [
            replace(
                article,
                title=plain(article.title),
                abstract=plain(article.abstract),
                category=plain(article.category),
            )
            for article in articles
        ]
        assert read(Path(folder)) == (kept, impressions)


@given(ANY_ID, ANY_ID, ANY_ID, ANY_TEXT)
def test_whatever_is_written_is_refused_or_reads_back(
    article: str, user: str, seen: str, title: str
) -> None:
    with TemporaryDirectory() as folder:
        impression = Impression("1", user, None, (seen,), ((seen, False),))
        try:
            write_mind(Path(folder), [Article(article, title)], [impression])
        except InvalidInput:
            assert list(Path(folder).iterdir()) == []
        else:
            assert read(Path(folder)) == ([Article(article, plain(title))], [impression])


def test_the_files_are_as_mind_has_them(tmp_path: Path) -> None:
    morning = Impression("2", "U2", parse_time("2019-01-02T00:00:00.999Z", "at"), ("N1", "N2"), ())
    untimed = Impression("3", "U3", None, (), (("N1", True), ("N2", False)))
    write_mind(tmp_path, [ARTICLE], [IMPRESSION, morning, untimed])
    assert (tmp_path / NEWS).read_bytes() == b"N1\tnews\t\tA title\t\t\t[]\t[]\n"
    assert (tmp_path / LOG).read_bytes() == (
        b"1\tU1\t11/15/2019 8:05:58 PM\t\tN1-1\n"
        b"2\tU2\t1/2/2019 12:00:00 AM\tN1 N2\t\n"
        b"3\tU3\t\tN1-1 N2-0\n"
    )


def test_half_a_character_is_no_reason_to_lose_an_article(tmp_path: Path) -> None:
    write_mind(tmp_path, [replace(ARTICLE, title="A\ud83dtitle")], [])
    assert read(tmp_path) == ([ARTICLE], [])


def test_what_the_format_has_no_place_for_is_left_out(tmp_path: Path) -> None:
    full = replace(ARTICLE, body="B", entities=("E",), published_ms=5, popularity=2.0)
    write_mind(tmp_path, [full], [])
    assert read(tmp_path) == ([ARTICLE], [])


# --- complete or not at all ------------------------------------------------------------------


def test_files_that_are_there_are_not_replaced_unless_one_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    write_mind(tmp_path, [ARTICLE], [IMPRESSION])
    with pytest.raises(InvalidInput, match=r"holds news.tsv and behaviors.tsv already") as refused:
        write_mind(tmp_path, [], [])
    assert refused.value.field == "folder"
    assert read(tmp_path) == ([ARTICLE], [IMPRESSION])
    write_mind(tmp_path, [], [IMPRESSION], replace=True)
    assert read(tmp_path) == ([], [IMPRESSION])
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOG, NEWS, "notes.txt"]


@pytest.mark.parametrize("name", [NEWS, LOG])
def test_one_file_of_another_log_is_enough_to_refuse(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(InvalidInput, match=f"holds {name} already"):
        write_mind(tmp_path, [ARTICLE], [IMPRESSION])
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_error_amid_writing_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    def torn() -> Iterator[Impression]:
        yield IMPRESSION
        raise InvalidInput("the source broke off")

    write_mind(tmp_path, [ARTICLE], [IMPRESSION])
    with pytest.raises(InvalidInput, match="broke off"):
        write_mind(tmp_path, [], torn(), replace=True)
    assert read(tmp_path) == ([ARTICLE], [IMPRESSION])
    assert len(list(tmp_path.iterdir())) == 2


BAD_IDS = ["", " ", "a b", "a\tb", "a\n", "\ufeffN", "a\u00a0b", "\ud800", "\x00"]


@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.parametrize("field", ["id", "impression", "user", "history", "shown"])
def test_an_id_that_would_not_read_back_is_refused_by_its_field(
    tmp_path: Path, field: str, bad: str
) -> None:
    articles: Sequence[Article] = [ARTICLE]
    impression = IMPRESSION
    match field:
        case "id":
            articles = [replace(ARTICLE, id=bad)]
        case "impression":
            impression = replace(IMPRESSION, id=bad)
        case "user":
            impression = replace(IMPRESSION, user=bad)
        case "history":
            impression = replace(IMPRESSION, history=(bad,))
        case _:
            impression = replace(IMPRESSION, shown=((bad, True),))
    with pytest.raises(InvalidInput, match="cannot stand in a log") as refused:
        write_mind(tmp_path / "new", articles, [impression])
    assert refused.value.field == field
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("article", "field"),
    [
        (replace(ARTICLE, title=" \n"), "title"),
        (replace(ARTICLE, category="c" * 300), "category"),
        (replace(ARTICLE, id="x" * 600), "id"),
    ],
)
def test_an_article_that_the_reader_would_refuse_is_not_written(
    tmp_path: Path, article: Article, field: str
) -> None:
    with pytest.raises(InvalidInput, match=f"article 2: {field} ") as refused:
        write_mind(tmp_path, [ARTICLE, article], [])
    assert refused.value.field == field
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("at_ms", [10**15, -(10**14), 10**30])
def test_a_time_that_the_format_cannot_hold_is_refused(tmp_path: Path, at_ms: int) -> None:
    with pytest.raises(InvalidInput, match="no time of the years") as refused:
        write_mind(tmp_path, [], [replace(IMPRESSION, at_ms=at_ms)])
    assert refused.value.field == "time"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="file: cannot be written"):
        write_mind(tmp_path / "file", [], [])
