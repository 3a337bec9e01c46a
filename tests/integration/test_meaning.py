"""A gateway that finds by meaning: real encoder, embedded index, over HTTP; and what it does
without."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.app import create_app
from service.errors import ConfigurationError
from service.settings import load_settings
from tests.integration.conftest import interests
from tests.parts.command import interests_here
from tests.parts.gateway import Gateway, free_port, running_gateway

pytestmark = pytest.mark.timeout(120)

ARTICLES = [
    ("rates", "Central bank raises interest rates again", "Borrowing gets dearer for households."),
    ("match", "Late goal decides the cup final", "The home side wins by one."),
    ("volcano", "Lava flows towards a town in Iceland", "Residents are told to leave."),
    ("orbit", "Astronauts dock at the station", "The crew will stay for half a year."),
]
ASKED = "why mortgage so expensive"


def event(text: str) -> dict[str, str]:
    return {"at": datetime.now(UTC).isoformat(), "domain": "search", "text": text}


@pytest.fixture(scope="module")
def settings(built_student: Path, encoder_folder: Path) -> dict[str, str]:
    return {
        "STUDENTS__MAIN__MANIFEST": str(built_student / "student.yaml"),
        "ENCODER__MANIFEST": str(encoder_folder / "encoder.yaml"),
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str]) -> Path:
    """A data folder whose index holds vectors."""
    home = tmp_path_factory.mktemp("meaning")
    file = home / "articles.jsonl"
    rows = [{"id": id_, "title": title, "abstract": rest} for id_, title, rest in ARTICLES]
    file.write_text("\n".join(map(json.dumps, rows)))
    env = {f"INTERESTS_{name}": value for name, value in settings.items()}
    interests("index", "load", str(file), env={**env, "INTERESTS_DATA_DIR": str(home)})
    return home


@pytest.fixture(scope="module")
def gateway(folder: Path, settings: dict[str, str]) -> Iterator[Gateway]:
    with running_gateway(folder, settings) as running:
        running.wait_for("index")
        running.wait_for("encoder")
        yield running


def ask(gateway: Gateway, text: str = ASKED, **more: Any) -> dict[str, Any]:
    return gateway.interests("u", signals=[event(text)], explain=True, **more)


def test_an_article_without_a_word_of_the_query_is_found_first(gateway: Gateway) -> None:
    answer = ask(gateway)
    first = answer["candidates"][0]
    assert (first["id"], first["origin"]) == ("rates", "search")
    assert [(one["by"], one["rank"]) for one in first["found"]] == [("meaning", 1)]
    assert 0 < first["found"][0]["score"] <= 1
    assert "encoder_unavailable" not in answer["degraded"]
    (query,) = answer["queries"]
    assert (query["hits"], query["near"] > 0) == (0, True)


def test_texts_seen_before_are_not_encoded_again(gateway: Gateway) -> None:
    ask(gateway, "glaciers in the Alps", max_age_hours=1)
    misses = gateway.metric("interests_encoder_cache_total", outcome="miss")
    ask(gateway, "glaciers in the Alps", max_age_hours=2)  # another search, the same text
    assert gateway.metric("interests_encoder_cache_total", outcome="miss") <= misses + 1, (
        "readiness may have looked meanwhile"
    )
    assert gateway.metric("interests_part_up", part="encoder") == 1


def test_an_index_without_vectors_is_searched_by_words(
    tmp_path: Path, folder: Path, settings: dict[str, str]
) -> None:
    env = {"INTERESTS_DATA_DIR": str(tmp_path)}
    interests("index", "load", str(folder / "articles.jsonl"), env=env)
    with running_gateway(tmp_path, settings) as running:
        running.wait_for("index")
        answer = ask(running, "interest rates")
        assert answer["candidates"][0]["id"] == "rates"
        assert answer["queries"][0]["near"] == 0
        assert "encoder_unavailable" not in answer["degraded"]


def test_a_dead_encoder_leaves_the_words_and_readyz_says_so(
    tmp_path: Path, folder: Path, settings: dict[str, str]
) -> None:
    shutil.copytree(folder / "index", tmp_path / "index", symlinks=True)
    nobody = {**settings, "ENCODER__URL": f"http://127.0.0.1:{free_port()}"}
    with running_gateway(tmp_path, nobody) as running:
        running.wait_for("index")
        answer = ask(running, "interest rates")
        assert answer["candidates"][0]["id"] == "rates"
        assert "encoder_unavailable" in answer["degraded"]
        running.wait_for("encoder", "wrong")
        assert running.client.get("/readyz").status_code == 200


def test_doctor_says_whether_index_and_encoder_fit(
    tmp_path: Path, folder: Path, settings: dict[str, str]
) -> None:
    def found(home: Path, **more: str) -> str:
        given = {**settings, "DATA_DIR": str(home), "PORT": str(free_port()), **more}
        env = {f"INTERESTS_{name}": value for name, value in given.items()}
        lines = interests_here("doctor", env=env).stdout.splitlines()
        (at,) = [n for n, line in enumerate(lines) if "encoder:" in line]
        return " ".join(lines[at : at + 2])

    assert "✓ encoder: all-minilm-l6-v2@1 encodes" in found(folder)
    env = {"INTERESTS_DATA_DIR": str(tmp_path)}
    interests("index", "load", str(folder / "articles.jsonl"), env=env)
    without = found(tmp_path)
    assert "the index holds no vectors" in without
    assert "`interests index load FILE`" in without
    missing = found(folder, ENCODER__MANIFEST="/nowhere/encoder.yaml")
    assert "✗ encoder: /nowhere/encoder.yaml: no such encoder" in missing
    assert "`interests encoders build`" in missing


def test_an_upsert_by_another_encoder_or_none_is_refused_in_one_line(
    tmp_path: Path, folder: Path, settings: dict[str, str]
) -> None:
    shutil.copytree(folder / "index", tmp_path / "index", symlinks=True)
    env = {"INTERESTS_DATA_DIR": str(tmp_path)}
    done = interests_here("index", "upsert", str(folder / "articles.jsonl"), env=env)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "all-minilm-l6-v2@1" in done.stderr
    assert "INTERESTS_ENCODER__MANIFEST" in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [("MANIFEST", "/nowhere/encoder.yaml"), ("URL", "encoder:80"), ("URL", "http://h:99999")],
)
def test_an_encoder_that_cannot_be_is_refused_before_anything_listens(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    for key, given in {**settings, f"ENCODER__{name}": value}.items():
        monkeypatch.setenv(f"INTERESTS_{key}", given)
    with pytest.raises(ConfigurationError):
        create_app(load_settings())
