"""`interests signals …` and `interests users …` against a real Redis server."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from typer.testing import CliRunner, Result

from service.commands import signals, users
from service.errors import ConfigurationError, InterestsError, InvalidInput, SignalsUnavailable
from service.events.streams import stream_key, user_keys
from tests.parts import parquet

pytestmark = pytest.mark.redis


@pytest.fixture(autouse=True)
def _settings(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INTERESTS_REDIS_URL", redis_url)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def user() -> str:
    return f"{{user}} {uuid4().hex}"


def run(*arguments: str) -> Result:
    """Run a command as `service.cli` does: our own errors come out as they are."""
    app = users.app if arguments[0] == "delete" else signals.app
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, InterestsError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def row(user: str, **more: object) -> str:
    fields = {"user_id": user, "at": "2026-01-01T12:00:00Z", "domain": "search", "text": "tents"}
    return json.dumps(fields | more) + "\n"


def stored(user: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run("show", user, "--json").stdout)["signals"]
    return found


def test_files_are_loaded_once_shown_and_forgotten(tmp_path: Path, user: str) -> None:
    plain, packed = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"
    plain.write_text(row(user) + row(user, domain="news", text="Camping [bold]grows[/bold]"))
    packed.write_bytes(gzip.compress(row(user, text="stove", category="outdoor").encode()))
    assert "read 3 signals of 1 user in" in run("load", str(plain), str(packed)).stdout
    assert "0 stored, 3 known already" in run("load", str(plain), str(packed)).stdout
    assert {signal["text"] for signal in stored(user)} == {
        "tents",
        "stove",
        "Camping [bold]grows[/bold]",
    }
    shown = run("show", user).stdout
    assert "2026-01-01" in shown
    assert "[bold]" in shown
    assert "deleted" in run("delete", user).stdout
    assert stored(user) == []
    assert "nothing was stored" in run("delete", user).stdout
    assert "no signals" in run("show", user).stdout


def test_a_deletion_lists_the_exports_that_hold_the_user(
    tmp_path: Path, user: str, redis_url: str
) -> None:
    exports = tmp_path / "exports"
    with pytest.raises(ConfigurationError, match="exports: cannot be read"):
        run("delete", user, "--exports", str(exports))
    segment = exports / "1_5-0_9-2"
    segment.mkdir(parents=True)
    (segment / "feedback.jsonl").write_text(json.dumps({"user_id": user}) + "\n")
    with redis.Redis.from_url(redis_url) as client:
        entry = client.xadd(stream_key(1), {"k": "x", "d": "{}"})
        client.rpush(user_keys(1, user)[0], entry)
        said = run("delete", user, "--exports", str(exports)).stdout
        assert client.xrange(stream_key(1), entry, entry) == []
    assert "deleted 1 of the user's exposures" in said
    assert f"{segment}: 1 in feedback.jsonl" in said
    said = run("delete", "nobody at all", "--exports", str(exports)).stdout
    assert f"no segment in {exports} holds events of that user" in said


def test_a_bad_row_stops_the_load_unless_it_is_allowed(tmp_path: Path, user: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(row(user) + "{oops\n" + row(user, text="stove"))
    with pytest.raises(InvalidInput, match=r"rows\.jsonl:2: not JSON"):
        run("load", str(path))
    result = run("load", str(path), "--max-errors", "1")
    assert "read 2 signals" in result.stdout
    assert f"passed over {path}:2: not JSON" in result.stderr


def test_a_history_in_parquet_is_loaded_and_html_in_titles_is_counted(
    tmp_path: Path,
) -> None:
    number = uuid4().int % 2**32
    news = parquet.write(
        tmp_path / "articles.parquet", parquet.ARTICLES, parquet.article(1, "Rate &amp; run")
    )
    row = parquet.history(number, (1, parquet.MAY_1))
    history = parquet.write(tmp_path / "history.parquet", parquet.HISTORY, row)
    result = run("load", history, "--news", news)
    assert "read 1 signals of 1 user" in result.stdout
    assert "cleaned HTML in 1 text" in result.stderr
    assert [signal["text"] for signal in stored(str(number))] == ["Rate & run"]


def test_a_click_log_is_loaded_with_the_titles_of_its_articles(tmp_path: Path, user: str) -> None:
    news, log = tmp_path / "news.tsv", tmp_path / "behaviors.tsv"
    news.write_text("N1\tspace\tmoon\tEclipse over Spain\t\t\t[]\t[]\n")
    log.write_text(f"1\t{user}\tN9\tN1-1 N9-0\n")
    result = run("load", str(log), "--news", str(news), "--time", "2026-01-01")
    assert "passed over 1 clicks on articles not in" in result.stderr
    assert [(signal["text"], signal["item"], signal["category"]) for signal in stored(user)] == [
        ("Eclipse over Spain", "N1", "space")
    ]
    with pytest.raises(InvalidInput, match="is not ISO 8601") as raised:
        run("load", str(log), "--news", str(news), "--time", "noon")
    assert raised.value.field == "--time"


def test_standard_input_is_read_through_the_real_command(user: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", "signals", "load", "-"],
        input=row(user),
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert "read 1 signals of 1 user in" in done.stdout
    assert len(stored(user)) == 1


def test_without_redis_a_load_says_so(
    tmp_path: Path, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERESTS_REDIS_URL", "redis://127.0.0.1:1")
    path = tmp_path / "rows.jsonl"
    path.write_text(row(user))
    with pytest.raises(SignalsUnavailable, match=r"Redis failed: .*127\.0\.0\.1:1"):
        run("load", str(path))
