"""Files of people and judgements: what is read, and which line is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.people.reading import read_people, read_qrels, read_threads, write_qrels
from models.people.records import Judgement
from models.people.signals import signals_of
from service.errors import InvalidInput
from service.records import Article
from tests.unit.models.people.builders import PORTRAIT, articles, person, row, trace, write


def test_a_person_is_read_as_they_are_written(tmp_path: Path) -> None:
    [ada] = read_people(write(tmp_path / "test.jsonl", row()))
    assert (ada.id, ada.line, ada.portrait) == ("ada", 1, PORTRAIT)
    assert ada.interests[0].query == "electric ferries"
    first, second = ada.traces
    assert (first.domain, first.text, first.interest, first.article) == (
        "search",
        "fjord1",
        0,
        None,
    )
    assert (second.domain, second.text, second.interest) == ("news", "", None)
    assert second.article == "hp-1"
    assert first.at_ms < second.at_ms < ada.now_ms


AT = "2019-03-01T08:00:00Z"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"now": "2019-03-01T09:00:00Z"}, "signals.1.at: .* is not before the person's now"),
        ({"now": "soon"}, "now: "),
        ({"portrait": "Short."}, "portrait: String should have at least 60"),
        ({"portrait": None}, "portrait: "),
        ({"interests": []}, "interests: "),
        ({"likes": "tea"}, "likes: Extra inputs"),
        ({"signals": []}, "signals: "),
        ({"signals": [{"at": AT, "domain": "mail", "text": "x"}]}, "signals.0.domain"),
        ({"signals": [{"at": AT, "domain": "news", "text": "x"}]}, "signals.0.article: a news"),
        (
            {"signals": [{"at": AT, "domain": "search", "text": "x", "article": "a"}]},
            "signals.0.article: a news click has",
        ),
        (
            {"signals": [{"at": AT, "domain": "news", "text": "x", "article": "a"}]},
            "signals.0.text: every signal has",
        ),
        (
            {"signals": [{"at": AT, "domain": "search", "text": "x", "interest": 2}]},
            "signals.0.interest: there are 1 interests",
        ),
        (
            {
                "signals": [
                    {"at": "2019-03-02", "domain": "search", "text": "x"},
                    {"at": "2019-03-01", "domain": "search", "text": "y"},
                ]
            },
            "signals.1.at: is before the signal above it; sort them",
        ),
    ],
)
def test_what_is_wrong_with_a_person_is_said_with_line_and_field(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "test.jsonl", row(), row(id="bo", **changes))
    with pytest.raises(InvalidInput, match=rf"^test\.jsonl:2: {said}.*; mend that line$"):
        read_people(path)


def test_a_line_that_is_no_json_is_said_too(tmp_path: Path) -> None:
    path = tmp_path / "tune.jsonl"
    path.write_bytes(b"{\n")
    with pytest.raises(InvalidInput, match=r"^tune\.jsonl:1: Invalid JSON"):
        read_people(path)
    path.write_bytes(b'{"id": "\xff"}\n')
    with pytest.raises(InvalidInput, match=r"^tune\.jsonl:1: byte 9 is not UTF-8"):
        read_people(path)


def test_a_person_may_stand_in_a_file_once(tmp_path: Path) -> None:
    path = write(tmp_path / "test.jsonl", row(), row(id="bo"), row())
    with pytest.raises(InvalidInput, match=r"^test\.jsonl:3: id: ada stands in line 1 already"):
        read_people(path)


def test_judgements_survive_being_written_and_read(tmp_path: Path) -> None:
    judged = (Judgement("ada", 1, "hp-1", 2), Judgement("ada", 0, "hp-2", 0))
    path = tmp_path / "test.qrels"
    write_qrels(path, judged)
    assert path.read_text() == "ada 1 hp-1 2\nada 0 hp-2 0\n"
    assert read_qrels(path) == judged


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ada 1 hp-1 3", "grade: 3 is none of 0, 1 and 2"),
        ("ada 1 hp-1", "needs person, interest, article and grade"),
        ("ada -1 hp-1 1", "interest: must be a number"),
        ("ada 1 hp-0 1", "hp-0 is judged for ada in line 1 already"),
    ],
)
def test_what_is_wrong_with_a_judgement_is_said_with_its_line(
    line: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "test.qrels"
    path.write_text(f"ada 1 hp-0 1\n{line}\n")
    with pytest.raises(InvalidInput, match=rf"^test\.qrels:2: {said}"):
        read_qrels(path)


def test_a_news_click_is_a_signal_with_the_title_of_its_article() -> None:
    ada = person("ada", trace("fjord1", 0), trace("", article="ferry-1", days=-0.5))
    own, clicked = signals_of(ada, articles())
    assert (own.text, own.domain, own.item) == ("fjord1", "search", None)
    assert clicked.text == "Battery ferry crosses the fjord ferrywinter"
    assert clicked.item == "ferry-1"
    assert own.id != clicked.id
    with pytest.raises(InvalidInput, match="ada clicked ferry-1, which is none of the articles"):
        signals_of(ada, dict[str, Article]())


def test_nothing_of_a_portrait_or_an_interest_is_in_the_signals() -> None:
    ada = person("ada", trace("fjord1", 0))
    said = repr(signals_of(ada, articles()))
    assert PORTRAIT not in said
    assert "electric" not in said


def test_threads_are_read_and_a_bad_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "threads.jsonl"
    good = '{"query": "rye bread", "signals": [{"domain": "search", "text": "levain cold"}]}\n'
    path.write_text(good)
    [thread] = read_threads(path)
    assert (thread.query, thread.traces, thread.line) == (
        "rye bread",
        (("search", "levain cold"),),
        1,
    )
    path.write_text(good + '{"query": "rye bread", "signals": []}\n')
    with pytest.raises(InvalidInput, match=r"^threads\.jsonl:2: signals: .*; mend that line$"):
        read_threads(path)
