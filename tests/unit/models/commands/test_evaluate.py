"""`interests evaluate`: what comes out, and the one line that says what is wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from models.mind.writing import write_mind
from models.packaging.encoders import DEFAULT_ENCODER, find_encoder
from models.packaging.registry import DEFAULT_STUDENT, find_student
from models.simulation.encoder import WORLD_ENCODER
from service import cli
from service.signals.clicks import Impression
from tests.unit.models.builders import NOW_MS, stories


@pytest.fixture
def log(tmp_path: Path) -> list[str]:
    """Options that name a small log."""
    shown = (("ferry+1", True), ("chess+1", False))
    rows = [Impression(str(n), f"u{n}", NOW_MS + n, ("ferry-1",), shown) for n in range(3)]
    write_mind(tmp_path, stories(), rows)
    return ["--news", str(tmp_path / "news.tsv"), "--behaviors", str(tmp_path / "behaviors.tsv")]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of the command."""
    monkeypatch.setattr(sys, "argv", ["interests", "evaluate", *arguments])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return int(exit_.value.code or 0)


def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> str:
    """The one line on standard error."""
    assert run(monkeypatch, *arguments) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


def test_a_log_becomes_a_table_and_a_report(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    log: list[str],
) -> None:
    assert run(monkeypatch, *log, "--out", str(tmp_path / "out")) == 0
    shown = capsys.readouterr().out
    assert "3 impressions of 3 readers" in shown
    assert "own signals (P)" in shown
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["data"]["source"] == "reading log"
    assert not report["simulated"]


def test_a_log_in_parquet_without_pyarrow_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    line = refused(monkeypatch, capsys, *log[:3], "behaviors.parquet")
    assert "pip install 'interests[parquet]'" in line


def test_without_a_source_both_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: list[str]
) -> None:
    assert "--articles FILE" in refused(monkeypatch, capsys)
    assert "--articles FILE" in refused(monkeypatch, capsys, *log, "--articles", "a.jsonl")
    assert "--behaviors FILE" in refused(monkeypatch, capsys, *log[:2])
    simulated = ("--articles", "a.jsonl", "--history", "h.parquet")
    assert "--behaviors FILE" in refused(monkeypatch, capsys, *simulated)


def test_too_few_articles_are_too_few_to_simulate_readers_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "few.jsonl"
    file.write_text('{"id": "a", "title": "A", "published": "2026-01-01"}\n', encoding="utf-8")
    line = refused(monkeypatch, capsys, "--articles", str(file))
    assert "1 articles with a date are too few" in line


def test_the_encoder_that_makes_the_users_is_refused_for_searching_and_others_are_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    world, other = (
        str(find_encoder(name).folder) for name in (WORLD_ENCODER.parent.name, DEFAULT_ENCODER)
    )
    asked = ("--articles", str(tmp_path / "a.jsonl"), "--world-encoder", world)
    line = refused(monkeypatch, capsys, *asked, "--encoder", world)
    assert "--encoder: e5-small-v2 makes the simulated users" in line
    assert "--world-encoder" in line
    # Of the other the registry has no model, which is all that is wrong with it here.
    line = refused(monkeypatch, capsys, *asked, "--encoder", other)
    assert f"run `interests encoders build {DEFAULT_ENCODER}" in line


def test_a_world_encoder_that_is_not_built_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    gone = str(tmp_path / "gone")
    asked = ("--articles", str(tmp_path / "a.jsonl"), "--world-encoder", gone)
    searching = str(find_encoder(DEFAULT_ENCODER).folder)
    line = refused(monkeypatch, capsys, *asked, "--encoder", searching)
    assert "gone: the encoder that users are simulated with is not there" in line
    assert "`interests encoders build e5-small-v2`" in line


def test_a_file_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: list[str]
) -> None:
    assert "gone.jsonl" in refused(monkeypatch, capsys, "--articles", "gone.jsonl")
    assert "gone.tsv" in refused(monkeypatch, capsys, *log[:3], "gone.tsv")


def test_a_bad_row_is_named_by_file_and_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    articles, searches = tmp_path / "a.jsonl", tmp_path / "s.jsonl"
    articles.write_text('{"id": "a"}\n', encoding="utf-8")
    assert "a.jsonl:1: title" in refused(monkeypatch, capsys, "--articles", str(articles))
    articles.write_text('{"id": "a", "title": "A"}\n', encoding="utf-8")
    searches.write_text('{"source": "nq", "query": "a"}\n{"source": "nq"}\n', encoding="utf-8")
    line = refused(monkeypatch, capsys, "--articles", str(articles), "--searches", str(searches))
    assert "s.jsonl:2: needs query" in line
    searches.write_text('[{"query": "a"}]\n', encoding="utf-8")
    line = refused(monkeypatch, capsys, "--articles", str(articles), "--searches", str(searches))
    assert "s.jsonl:1: this is a JSON array" in line


def test_a_student_that_is_not_built_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: list[str]
) -> None:
    line = refused(monkeypatch, capsys, *log, "--engine", "http://127.0.0.1:9", "--into", "nowhere")
    assert f"interests students build {find_student(DEFAULT_STUDENT).manifest.key}" in line


def test_a_comparison_that_names_no_student_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: list[str]
) -> None:
    line = refused(monkeypatch, capsys, *log, "--compare", "http://127.0.0.1:9")
    assert "--compare" in line
    assert "URL=STUDENT" in line


def test_a_folder_that_is_no_report_is_not_replaced(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    log: list[str],
) -> None:
    assert "--out" in refused(monkeypatch, capsys, *log, "--out", str(tmp_path))
