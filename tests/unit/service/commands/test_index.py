"""`interests index …` on the embedded index: what it says of its files, and shows meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.progress import Progress
from typer.testing import CliRunner, Result

from service.commands import index
from service.errors import ConfigurationError
from service.retrieval.indexes.analysis import definition
from tests.parts import parquet
from tests.parts.command import interests_here


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INTERESTS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    """Run a command; our own errors come out as they are."""
    result = CliRunner().invoke(index.app, list(arguments))
    if result.exception is not None:
        raise result.exception
    return result


def test_a_load_and_an_upsert_say_what_was_cleaned_and_what_has_no_date(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(
        '{"id": "1", "title": "A &amp; B"}\n{"id": "2", "title": "C", "published": "2026-01-01"}\n'
    )
    for command in ("load", "upsert"):
        said = run(command, str(file)).stdout
        assert "2 articles (" in said
        assert "cleaned HTML in 1 article, 1 without a date" in said


def test_articles_in_parquet_are_loaded(tmp_path: Path) -> None:
    file = parquet.write(
        tmp_path / "articles.parquet", parquet.ARTICLES, parquet.article(1, "Ferry strike")
    )
    assert "1 article (" in run("load", file).stdout


def test_the_progress_counts_the_articles_that_are_in_and_makes_up_no_total(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Progress(disable=True)
    counts: list[float] = []
    advance = shown.advance

    def watched(task_id: object, more: float = 1) -> None:
        advance(shown.task_ids[0], more)
        (task,) = shown.tasks
        counts.append(task.completed)
        assert task.total is None or task.completed <= task.total

    monkeypatch.setattr(shown, "advance", watched)
    monkeypatch.setattr(index, "_progress", lambda: shown)
    rows = (json.dumps({"id": str(n % 900), "title": f"Storm {n}"}) for n in range(1_200))
    (tmp_path / "news.jsonl").write_text("\n".join(rows))
    env = {"INTERESTS_DATA_DIR": str(tmp_path / "data")}
    done = interests_here("index", "load", str(tmp_path / "news.jsonl"), env=env)
    assert "loaded 900 articles" in done.stdout, done.stderr
    assert counts == sorted(counts)
    assert len(counts) > 1
    assert counts[-1] == 900


def test_the_mapping_is_printed_in_the_language_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INTERESTS_INDEX_LANGUAGE", "danish")
    printed = json.loads(run("mapping").stdout)
    assert printed == definition("danish")
    assert printed["mappings"]["_meta"]["interests_language"] == "danish"
    assert printed["settings"]["analysis"]["filter"]["news_stem"]["language"] == "Danish"
    assert "hvor" in printed["settings"]["analysis"]["filter"]["news_stop"]["stopwords"]


def test_what_was_loaded_in_one_language_is_searched_in_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"id": "1", "title": "Gletscher schmelzen"}\n')
    monkeypatch.setenv("INTERESTS_INDEX_LANGUAGE", "german")
    run("load", str(file))
    run("upsert", str(file))
    monkeypatch.delenv("INTERESTS_INDEX_LANGUAGE")
    with pytest.raises(ConfigurationError, match="in german, and INTERESTS_INDEX_LANGUAGE says"):
        run("upsert", str(file))
