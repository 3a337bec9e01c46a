"""A real training on the real base, a few steps long: begun, refused, resumed, exported."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.demo.__main__ import write_demo
from models.collapse import Watch
from models.delta import read_delta
from tests.parts.train import ROOT, train_python

CONFIG = {
    "student": "interests-small/2",
    "articles": "articles.jsonl",
    "searches": "queries.jsonl",
    "mixes": {"easy": 24},
    "lora": {"rank": 2, "alpha": 4, "first_layer": 28},
    "train": {"batch": 2, "checkpoint_steps": 2, "most_steps": 2},
    "watch": {"users": 2, "steps": 2, "distinct_least": 0.1},
}

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo's articles, a few searches and a configuration of two steps."""
    folder = tmp_path_factory.mktemp("training")
    articles, _ = write_demo(folder / "demo")
    articles.rename(folder / "articles.jsonl")
    rows = [{"source": "nq", "query": f"who won the race on lake {i}"} for i in range(5)]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_config(folder, CONFIG)
    return folder


def write_config(folder: Path, config: dict[str, object]) -> None:
    (folder / "run.yaml").write_text(yaml.safe_dump(config))


def interests(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        train_python(),
        "-m",
        "service",
        "train",
        "sft",
        "--config",
        str(folder / "run.yaml"),
    ]
    command += ["--data", str(folder), "--out", str(folder / "run")]
    command += [
        "--base",
        str(ROOT / ".cache" / "base"),
        "--cache",
        str(ROOT / ".cache" / "encoder"),
    ]
    return subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=580
    )


def test_a_training_is_interrupted_resumed_and_leaves_an_adapter(place: Path) -> None:
    first = interests(place)
    assert first.returncode == 0, first.stderr
    run = place / "run"
    assert (run / "checkpoint-2" / "trainer_state.json").is_file()
    assert (run / "training.png").stat().st_size > 1_000
    assert [one.step for one in Watch.load(run / "watch.json").looks] == [2]

    refused = interests(place)
    assert refused.returncode == 2
    assert refused.stderr.strip().splitlines()[-1].startswith("error:")
    assert "--resume" in refused.stderr

    write_config(place, {**CONFIG, "seed": 2})
    other = interests(place, "--resume")
    assert other.returncode == 2
    assert "was begun with another seed" in other.stderr.replace("\n", " ")

    torn = run / "checkpoint-8"  # a kill while it was written
    torn.mkdir()
    (torn / "trainer_state.json").write_text("")
    longer = {**CONFIG, "train": {**CONFIG["train"], "most_steps": 6}}  # type: ignore[dict-item]
    write_config(place, longer)
    second = interests(place, "--resume")
    assert second.returncode == 0, second.stderr
    watch = Watch.load(run / "watch.json")
    assert [one.step for one in watch.looks] == [2, 4, 6]
    assert watch.losses
    assert all(loss > 0 for _, loss in watch.losses)
    delta = read_delta(run / "adapter.safetensors")
    assert delta is not None
    assert not list(run.glob("*.part"))


def test_too_few_articles_stop_it_in_one_line_before_anything_is_trained(
    place: Path, tmp_path: Path
) -> None:
    few = [{"id": f"a{i}", "title": f"Title {i}", "published": "2026-01-01"} for i in range(30)]
    (tmp_path / "few.jsonl").write_text("".join(json.dumps(row) + "\n" for row in few))
    (tmp_path / "queries.jsonl").write_text("")
    write_config(tmp_path, {**CONFIG, "articles": "few.jsonl"})
    done = interests(tmp_path)
    assert done.returncode == 2
    assert "30 articles with a date are too few" in done.stderr.replace("\n", " ")
    assert not (tmp_path / "run").exists()


def test_a_malformed_row_is_named_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"id": "a", "title": "Fine"}\n{"id": "b"}\n')
    (tmp_path / "queries.jsonl").write_text("")
    write_config(tmp_path, {**CONFIG, "articles": "bad.jsonl"})
    done = interests(tmp_path)
    assert done.returncode == 2
    assert "bad.jsonl:2" in done.stderr
    assert "title" in done.stderr
