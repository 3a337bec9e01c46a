"""Over 80 columns, and into a pipe, commands cut nothing of what they have to say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.mind.writing import write_mind
from models.packaging.registry import list_students
from service.commands import ask, doctor, signals
from service.commands.doctor import Finding
from service.records import KeptList, Query, Signal, UserState
from service.settings import Settings
from service.signals.clicks import Impression
from tests.parts.command import interests_here
from tests.unit.models.builders import NOW_MS, stories
from tests.unit.service.test_cli import leaves

TERMINALS = pytest.mark.parametrize("columns", ["80", None], ids=["80 columns", "a pipe"])
LONG = "Statistician-questions-placebo-hat-migraine-trial-of-the-northern-lakes-and-islands"
AT = "2026-11-05T23:09:00Z"
ADDRESS = "http://engine-of-the-second-floor.internal.example:8001"
ANSWER: dict[str, Any] = {
    "user_id": "maya",
    "experiments": [],
    "student": {"name": "interests-small", "version": "9"},
    "source": {"queries": "fresh", "candidates": "search"},
    "degraded": ["generation_timeout", "retrieval_partial"],
    "signals": [{"at": AT, "domain": "purchase", "text": f"A hat for migraine {LONG}"}],
    "queries": [
        {
            "text": f"Placebo hat {LONG}",
            "weight": 0.67,
            "hits": 50,
            "near": 50,
            "origin": "heuristic",
        }
    ],
    "candidates": [
        {
            "score": 1151.133801,
            "title": f"What the trial found {LONG}",
            "published": AT,
            "category": "entertainment-and-culture",
            "origin": "search",
            "matched_queries": [*range(0, 20, 2)],
        }
    ],
    "timings_ms": dict.fromkeys(("signals", "generate", "retrieve", "fuse", "total"), 12345.678),
}


def said(columns: str | None, *words: str) -> str:
    """What a command prints."""
    env: dict[str, Any] = {"COLUMNS": columns}
    done = interests_here(*words, env=env)
    assert done.stdout, done.stderr
    assert "…" not in done.stdout, "rich writes it where it cuts"
    return done.stdout


@TERMINALS
def test_ask(columns: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "post_interests", lambda *_, **__: ANSWER)
    output = said(columns, "ask", "maya", "--url", "http://gateway")
    for words in ("fresh", "generation_timeout", "purchase", "heuristic", "0.67", "1151.1338"):
        assert words in output
    assert "2026-11-05 23:09" in output
    assert output.count("12345.7") == 5
    words = output.split()
    assert {f"#{number}" for number in range(0, 20, 2)} <= set(words)
    for text in ("A hat for migraine", "Placebo hat", "What the trial found"):
        assert text in output
    assert output.count("islands") == 3, "the last word of each text"


@TERMINALS
def test_signals_show(columns: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptList("interests-small@9", "f", NOW_MS, (Query(LONG, 0.67, "heuristic"),))
    signal = Signal(
        NOW_MS, "purchase", f"A hat [bold] {LONG}\n", "1", LONG, "entertainment-and-culture"
    )
    state = UserState((signal,), (kept,))

    async def read(*_: object) -> UserState:
        return state

    monkeypatch.setattr(signals, "_read", read)
    output = said(columns, "signals", "show", "maya")
    assert f"purchase  A hat [bold] {LONG}\\n" in output, "a line break of a text is none of ours"
    assert f"item {LONG}, category entertainment-and-culture, weight 1\n" in output
    assert f"0.67  heuristic  {LONG}\n" in output


@TERMINALS
def test_doctor(columns: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    remedy = f"start it: interests engine --student {LONG}@9"
    found = [Finding(f"engine {ADDRESS}", f"down: [Errno 111] [red]{LONG}", remedy)]

    async def examine(*_: object) -> list[Finding]:
        return found

    monkeypatch.setattr(doctor, "examine", examine)
    output = said(columns, "doctor")
    assert f"✗ engine {ADDRESS}: down: [Errno 111] [red]{LONG}\n" in output
    assert f"→ {remedy}\n" in output, "to be copied as it stands"


@TERMINALS
def test_settings(columns: str | None) -> None:
    lines = said(columns, "settings").splitlines()
    for name, field in Settings.model_fields.items():
        if field.description:
            assert any(line.split()[:1] == [f"INTERESTS_{name.upper()}"] for line in lines)
            assert f"    {field.description}" in lines


@pytest.mark.parametrize("words", list(leaves()), ids=" ".join)
def test_the_help_of_every_command(words: tuple[str, ...]) -> None:
    said("80", *words, "--help")


@TERMINALS
def test_students_list(columns: str | None) -> None:
    output = said(columns, "students", "list")
    for entry in list_students():
        for text in (entry.manifest.key, entry.manifest.licence, entry.manifest.summary):
            assert text in output


@TERMINALS
def test_evaluate(columns: str | None, tmp_path: Path) -> None:
    shown = (("ferry+1", True), ("chess+1", False))
    rows = [Impression(str(n), f"u{n}", NOW_MS + n, ("ferry-1",), shown) for n in range(3)]
    write_mind(tmp_path, stories(), rows)
    files = ("--news", f"{tmp_path}/news.tsv", "--behaviors", f"{tmp_path}/behaviors.tsv")
    output = said(columns, "evaluate", *files, "--out", str(tmp_path / "out"))
    lines = output.splitlines()
    for measure in ("recall@50", "recall@100", "ndcg@50", "mrr", "auc"):
        assert measure in lines[1]
    at = lines.index("own signals (P)")
    assert len(lines[at + 1].split()) == 2 * 5, "five figures, each with its interval"
    assert max(map(len, lines[: at + 2])) <= 80
