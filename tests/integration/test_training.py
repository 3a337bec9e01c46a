"""A real training on the real base, a few steps long: begun, refused, resumed, exported."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from models.demo.__main__ import write_demo
from models.packaging.adapter_file import read_delta
from models.packaging.registry import STUDENTS
from models.training.run_folder import last_checkpoint
from models.training.watch import Watch
from service.errors import ConfigurationError
from tests.parts.train import ROOT, train_python

CONFIG = {
    "student": "interests-small/8",
    "articles": "articles.jsonl",
    "searches": "queries.jsonl",
    "mixes": {"easy": 24},
    "verdict": {"layer": 29, "weight": 0.5},
    "lora": {"rank": 2, "alpha": 4, "first_layer": 28},
    "train": {"batch": 2, "checkpoint_steps": 2, "most_steps": 6},
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


def command(folder: Path) -> list[str]:
    caches = ROOT / ".cache"
    return [
        *(train_python(), "-m", "service", "train", "sft"),
        *("--config", str(folder / "run.yaml"), "--data", str(folder)),
        *("--out", str(folder / "run")),
        *("--base", str(caches / "base"), "--cache", str(caches / "encoder")),
    ]


def interests(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command(folder), *arguments], cwd=ROOT, capture_output=True, text=True, timeout=580
    )


def kill_after_checkpoint(folder: Path, step: int) -> None:
    """Begin the training and kill it, without a word, once this checkpoint is whole."""
    log = folder / "killed.log"
    with log.open("wb") as out:
        training = subprocess.Popen(command(folder), cwd=ROOT, stdout=out, stderr=out)
        try:
            until = time.monotonic() + 500
            while last_step(folder / "run") < step:
                assert training.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.05)
        finally:
            training.kill()
            training.wait()


def last_step(run: Path) -> int:
    try:
        found = last_checkpoint(run, resume=True)
    except ConfigurationError:
        return 0
    return int(found.name.rpartition("-")[2]) if found else 0


def test_a_killed_training_is_resumed_and_leaves_an_adapter(place: Path) -> None:
    kill_after_checkpoint(place, 2)
    run = place / "run"
    assert not (run / "adapter.safetensors").exists()

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
    write_config(place, CONFIG)
    second = interests(place, "--resume")
    assert second.returncode == 0, second.stderr
    watch = Watch.load(run / "watch.json")
    assert [one.step for one in watch.looks] == [2, 4, 6]
    assert (run / "training.png").stat().st_size > 1_000
    assert watch.losses
    assert all(loss > 0 for _, loss in watch.losses)
    delta = read_delta(run / "adapter.safetensors")
    assert delta is not None
    assert not list(run.glob("*.part"))


def test_a_training_goes_on_from_another_students_adapter(place: Path, tmp_path: Path) -> None:
    given = read_delta(STUDENTS / "interests-small/8/adapter.safetensors")
    config = {
        **CONFIG,
        "starts_from": "interests-small/8",
        "train": {"batch": 2, "most_steps": 1, "learning_rate": 1e-12},
    }
    for name in ("articles.jsonl", "queries.jsonl"):
        (tmp_path / name).symlink_to(place / name)
    write_config(tmp_path, config)
    refused = interests(tmp_path)
    assert refused.returncode == 2
    assert "is an adapter of other layers, rank or alpha" in refused.stderr.replace("\n", " ")

    same = {"rank": 16, "alpha": 32, "first_layer": 6}
    write_config(tmp_path, {**config, "lora": same})
    shutil.rmtree(tmp_path / "run")
    done = interests(tmp_path)
    assert done.returncode == 0, done.stderr
    trained = read_delta(tmp_path / "run/adapter.safetensors")
    assert trained.pairs.keys() == given.pairs.keys()
    for name, (a, b) in given.pairs.items():
        assert np.array_equal(trained.pairs[name][0], a)
        assert np.array_equal(trained.pairs[name][1], b)


def test_a_training_cannot_go_on_from_a_student_that_is_not_there(place: Path) -> None:
    write_config(place, {**CONFIG, "starts_from": "interests-small/none"})
    done = interests(place)
    assert done.returncode == 2
    assert "starts_from" in done.stderr
    write_config(place, CONFIG)


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
