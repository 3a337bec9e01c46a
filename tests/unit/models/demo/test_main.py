import json
from datetime import datetime

from models.demo.__main__ import main


def test_the_command_writes_both_files_in_the_public_formats(tmp_path, capsys):
    main(["--out", str(tmp_path / "demo"), "--newest", "2026-03-01"])
    written = sorted(path.name for path in (tmp_path / "demo").iterdir())
    assert written == ["articles.jsonl", "signals.jsonl"]
    assert "articles.jsonl" in capsys.readouterr().out
    articles = read(tmp_path / "demo" / "articles.jsonl")
    signals = read(tmp_path / "demo" / "signals.jsonl")
    assert set(articles[0]) == {
        *("id", "title", "abstract", "body"),
        *("category", "entities", "published", "popularity"),
    }
    assert set(signals[0]) == {
        *("user_id", "at", "domain", "text"),
        *("id", "item", "category", "weight"),
    }
    assert datetime.fromisoformat(articles[-1]["published"]).tzinfo is not None
    assert datetime.fromisoformat(signals[-1]["at"]).tzinfo is not None


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
