"""`interests people` and `interests evaluate --people`: what comes out, and what is refused."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from models.commands import evaluate as evaluate_command
from models.people.reading import people_file, qrels_file, write_qrels
from service import cli
from tests.unit.models.builders import stories
from tests.unit.models.people.builders import PORTRAIT, judgement, row, write

INTERESTS = {"train": "sourdough baking", "tune": "chess finals", "test": "electric ferries"}


def day_of(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def signal(text: str, interest: int | None = 1, day: int = 1) -> dict[str, Any]:
    made = {"at": f"1972-09-{day:02d}T08:00:00Z", "domain": "search", "text": text}
    return made if interest is None else made | {"interest": interest}


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    """Two people a split, one of them cold, with judgements."""
    for split, query in INTERESTS.items():
        who = {"now": "1972-09-26T12:00:00Z", "interests": [{"name": query, "query": query}]}
        warm = [signal(f"{query} {n}", None if n % 3 == 0 else 1, n + 1) for n in range(9)]
        write(
            tmp_path / f"{split}.jsonl",
            row(id=f"{split}1", **who, signals=[signal(query)]),
            row(id=f"{split}2", **who, signals=warm),
        )
    for split, story in (("tune", "chess"), ("test", "ferry")):
        graded = [judgement(f"{split}{n}", f"{story}+{n}", n) for n in (1, 2)]
        for again in (False, True):
            write_qrels(qrels_file(split, tmp_path, again=again), graded)
            queries = [judgement(f"{split}{n}", "query-1", n) for n in (1, 2)]
            path = qrels_file(split, tmp_path, again=again, queries=True)
            write_qrels(path, queries)
    return tmp_path


@pytest.fixture
def articles(tmp_path: Path) -> str:
    file = tmp_path / "articles.jsonl"
    with file.open("wb") as out:
        for article in stories():
            fields = {
                "id": article.id,
                "title": article.title,
                "published": day_of(article.published_ms),
            }
            out.write(orjson.dumps(fields) + b"\n")
    return str(file)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["interests", *arguments])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return int(exit_.value.code or 0)


def check(monkeypatch: pytest.MonkeyPatch, benchmark: Path, articles: str) -> int:
    return run(monkeypatch, "people", "check", "--articles", articles, "--folder", str(benchmark))


def test_a_good_benchmark_is_counted_and_has_nothing_to_mend(
    benchmark: Path,
    articles: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert check(monkeypatch, benchmark, articles) == 0
    said = capsys.readouterr().out
    assert "train: 2 people, 2 interests, 10 signals" in said
    assert "test: 2 judgements: 0 × 0, 1 × 1, 1 × 2" in said
    assert "test: articles: 2 judged twice, 100% alike; kappa 1.00, weighted 1.00" in said
    assert "tune: the editor's queries: 2 judged twice, 100% alike" in said
    assert said.endswith("nothing to mend\n")


def test_everything_to_mend_is_listed_and_one_line_says_so(
    benchmark: Path,
    articles: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = qrels_file("test", benchmark)
    path.write_text(path.read_text() + "nobody 1 ferry+1 1\ntest1 1 nosuch 1\n")
    assert check(monkeypatch, benchmark, articles) == 2
    said = capsys.readouterr()
    assert said.out.count("test.qrels:") == 2
    assert said.err.count("\n") == 1
    assert "test.qrels:3: nobody ferry+1: nobody in test.jsonl has this id" in said.err
    assert "2 in all" in said.err


def test_a_bad_line_ends_the_check_with_file_and_line(
    benchmark: Path,
    articles: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = qrels_file("tune", benchmark)
    path.write_text("tune1 1 chess+1 3\n")
    assert check(monkeypatch, benchmark, articles) == 2
    assert "tune.qrels:1: grade: 3 is none of 0, 1 and 2; mend that line" in capsys.readouterr().err
    path = people_file("train", benchmark)
    path.write_text("{}\n")
    assert check(monkeypatch, benchmark, articles) == 2
    assert "train.jsonl:1: id: Field required; mend that line" in capsys.readouterr().err


def test_an_evaluation_on_people_shows_the_systems_and_writes_a_report(
    benchmark: Path,
    articles: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(evaluate_command, "HERE", benchmark)
    out = tmp_path / "report"
    arguments = ("--people", "test", "--articles", articles, "--out", str(out))
    assert run(monkeypatch, "evaluate", *arguments) == 0
    said = capsys.readouterr().out
    assert "editor (L)" in said
    assert "no real reader stands behind a figure" in said
    report = json.loads((out / "report.json").read_text())
    assert report["data"]["split"] == "test"
    labels = {one["label"] for one in report["systems"]}
    assert {"editor (L)", "editor (S)", "own signals, all (L)", "newest articles (L)"} <= labels
    editor = next(one for one in report["systems"] if one["label"] == "editor (L)")
    assert editor["covered"]["mean"] == 1
    text = (out / "report.md").read_text()
    assert "## nDCG@20 by segment" in text
    assert PORTRAIT not in text
    assert PORTRAIT not in (out / "lists.jsonl").read_text()


@pytest.mark.parametrize("more", [(), ("--demo",), ("--searches", "x.jsonl")])
def test_people_want_their_articles_and_no_other_source(
    more: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--articles", "x") if more else ()
    assert run(monkeypatch, "evaluate", "--people", "test", *given, *more) == 2
    assert "--people takes --articles FILE" in capsys.readouterr().err


def test_people_for_whom_nothing_is_judged_cannot_be_measured(
    benchmark: Path,
    articles: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(evaluate_command, "HERE", benchmark)
    qrels_file("test", benchmark).unlink()
    assert run(monkeypatch, "evaluate", "--people", "test", "--articles", articles) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "no article is judged to be for anybody in test" in said
