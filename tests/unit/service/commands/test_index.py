"""`interests index load`: what it shows while it reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.progress import Progress

from service.commands import index
from tests.parts.command import interests_here


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
