"""Real trainings, a few steps long: begun, refused, killed, resumed, exported; and the remaking of
the shipped student, from the data to the built folder.

All but that last one train a base of three narrow layers, which has nothing to say and is quick.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from models.demo.__main__ import write_demo
from models.packaging.adapter_file import Delta, read_delta
from models.packaging.registry import DEFAULT_STUDENT, find_student
from models.simulation.encoder import WORLD_ENCODER
from models.training.run_folder import last_checkpoint, step_of
from models.training.watch import Watch
from service.errors import ConfigurationError
from service.manifest import load_manifest, sha256_of, verify
from tests.parts.encoder import BUILT
from tests.parts.tiny_base import tiny_base, write_start
from tests.parts.train import ROOT, train_python

SHIPPED = find_student(DEFAULT_STUDENT).folder
FIRST_LAYER, RANK, ALPHA = 1, 2, 4
CONFIG: dict[str, Any] = {
    "student": "tiny/2",
    "starts_from": "tiny/1",
    "articles": "huffpost.jsonl.gz",
    "searches": "queries.jsonl.gz",
    "mixes": {"easy": 12},
    "label": {"references": 8},
    "verdict": {"layer": 2, "weight": 0.5},
    "lora": {"rank": RANK, "alpha": ALPHA, "first_layer": FIRST_LAYER},
    "train": {"batch": 2, "checkpoint_steps": 2, "epochs": 500},
    "watch": {"users": 2, "steps": 2, "distinct_least": 0.1},
}
MORE_STEPS = 4
"""That a resumed training takes."""
OTHER_SHAPES = """
import sys
from pathlib import Path
from models.packaging.adapter_file import read_delta
from models.training.adapter import put_on, take_over
from models.training.params import LoraParams
from service.errors import ConfigurationError
import torch
base, adapter = map(Path, sys.argv[1:])
delta = read_delta(adapter)
for rank, alpha, first_layer in ((2, 4, 2), (3, 4, 1), (2, 5, 1), (2, 4, 1)):
    model = put_on(base, LoraParams(rank=rank, alpha=alpha, first_layer=first_layer), torch.float32)
    try:
        take_over(model, delta, alpha)
        print("taken over")
    except ConfigurationError as error:
        print(error)
"""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, world_encoder_folder: Path) -> Path:
    """A folder with articles, searches, and students on the tiny base, the first with an adapter.

    The articles are the demo's headlines: without their texts they are encoded sooner. Their dates
    are dealt out anew, so that every interest has articles in each split's time; a newspaper's
    stories come and go. Files have the names that the remaking of the shipped student looks for,
    gzipped or not.
    """
    folder = tmp_path_factory.mktemp("training")
    package = ("-m", "tests.parts.tiny_base", str(folder / "packages"))
    subprocess.run([train_python(), *package], cwd=ROOT, check=True, timeout=120)
    articles, _ = write_demo(folder / "demo")
    kept = ("id", "title", "published")
    rows = [json.loads(line) for line in articles.read_text().splitlines()]
    dates = [row["published"] for row in rows]
    random.Random(1).shuffle(dates)
    dealt = [{**row, "published": date} for row, date in zip(rows, dates, strict=True)]
    write_rows(folder / CONFIG["articles"], [{name: row[name] for name in kept} for row in dealt])
    searches = [{"source": "nq", "query": f"who won the race on lake {i}"} for i in range(5)]
    write_rows(folder / CONFIG["searches"], searches)
    manifest = {"weights": tiny_base(folder / "packages").model_dump()}
    for version in ("1", "2"):
        student = folder / "students" / "tiny" / version
        student.mkdir(parents=True)
        for name in ("template.yaml", "vocabulary.json"):
            shutil.copy(SHIPPED / name, student)
        (student / "student.yaml").write_text(yaml.safe_dump(manifest))
    adapter = folder / "students/tiny/1/adapter.safetensors"
    write_start(adapter, RANK, ALPHA, FIRST_LAYER)
    return folder


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def command(place: Path, out: Path, config: dict[str, Any]) -> list[str]:
    """The training of this configuration into the folder `out`."""
    written = out.with_name(f"{out.name}.yaml")
    written.write_text(yaml.safe_dump(config))
    return [
        *(train_python(), "-m", "service", "train", "sft"),
        *("--config", str(written), "--data", str(place), "--out", str(out)),
        *("--students", str(place / "students"), "--base", str(place / "base")),
        *("--world-encoder", str(BUILT / WORLD_ENCODER.parent.name / WORLD_ENCODER.name)),
        *("--cache", str(ROOT / ".cache" / "encoder")),
    ]


def environment(place: Path) -> dict[str, str]:
    """With the tiny base's package where installed packages are looked for."""
    paths = [str(place / "packages"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def interests(
    place: Path, out: Path, *arguments: str, **changed: Any
) -> subprocess.CompletedProcess[str]:
    """Train as a user would, by the usual configuration but for what is changed."""
    return subprocess.run(
        [*command(place, out, {**CONFIG, **changed}), *arguments],
        cwd=ROOT,
        env=environment(place),
        capture_output=True,
        text=True,
        timeout=580,
    )


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """What a refused training says: the one line that its output ends with."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("error: ")
    return line


@dataclass(frozen=True)
class Killed:
    """A training that was killed without a word, and what became of it afterwards."""

    run: Path
    step: int
    """Of its last whole checkpoint."""
    left: tuple[str, ...]
    """The files in its folder when it was dead."""
    unasked: str
    """What is said to whoever begins it anew in the same folder."""
    as_another: str
    """What is said to whoever goes on with another seed."""
    resumed: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def killed(place: Path) -> Killed:
    """One training for the tests below: killed, refused twice, resumed to its end."""
    run = place / "run"
    kill_after_checkpoint(place, run)
    step, left = last_step(run), tuple(path.name for path in run.iterdir())
    unasked = refusal(interests(place, run))
    as_another = refusal(interests(place, run, "--resume", seed=2))
    torn = run / f"checkpoint-{step + 2}"  # a kill while it was written
    shutil.rmtree(torn, ignore_errors=True)
    torn.mkdir()
    (torn / "trainer_state.json").write_text("")
    # How many steps it takes is the one thing of a training that may be changed on the way.
    some = {**CONFIG["train"], "most_steps": step + MORE_STEPS}
    resumed = interests(place, run, "--resume", train=some)
    assert resumed.returncode == 0, resumed.stderr
    return Killed(run, step, left, unasked, as_another, resumed)


def kill_after_checkpoint(place: Path, run: Path) -> None:
    """Begin a training of thousands of steps and kill it once a checkpoint is whole."""
    log = run.with_name("killed.log")
    with log.open("wb") as out:
        training = subprocess.Popen(
            command(place, run, CONFIG), cwd=ROOT, env=environment(place), stdout=out, stderr=out
        )
        try:
            until = time.monotonic() + 500
            while not last_step(run):
                assert training.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.05)
        finally:
            training.kill()
            training.wait()


def last_step(run: Path) -> int:
    """The step of the last whole checkpoint; 0 where there is none."""
    try:
        found = last_checkpoint(run, resume=True)
    except ConfigurationError:
        return 0
    return step_of(found) if found else 0


def test_a_killed_training_leaves_no_adapter_and_is_not_begun_anew_unasked(killed: Killed) -> None:
    assert "adapter.safetensors" not in killed.left
    assert "holds a run: add --resume" in killed.unasked


def test_a_training_does_not_go_on_as_another(killed: Killed) -> None:
    assert "was begun with another seed" in killed.as_another


def test_a_resumed_training_ends_with_an_adapter_its_record_and_a_picture(killed: Killed) -> None:
    run, end = killed.run, killed.step + MORE_STEPS
    assert killed.resumed.stdout.endswith(f"{run / 'adapter.safetensors'}\n")
    watch = Watch.load(run / "watch.json")
    assert [seen.step for seen in watch.looks] == list(range(2, end + 1, 2))
    assert watch.losses
    assert all(loss > 0 for _, loss in watch.losses)
    assert (run / "training.png").stat().st_size > 1_000
    assert not [path.name for path in run.iterdir() if path.name.startswith(".")]


def test_a_training_goes_on_from_another_students_adapter(place: Path, killed: Killed) -> None:
    """A step moves a value by no more than about the learning rate, so the start is still seen."""
    start = read_delta(place / "students/tiny/1/adapter.safetensors")
    trained = read_delta(killed.run / "adapter.safetensors")
    assert trained.pairs.keys() == start.pairs.keys()
    assert trained.lora_alpha == start.lora_alpha
    far = np.abs(values_of(trained) - values_of(start))
    assert 1e-4 < far.max() < 0.04
    assert np.abs(values_of(start)).mean() > 10 * far.mean()


def values_of(delta: Delta) -> Any:
    return np.concatenate([side.ravel() for pair in delta.pairs.values() for side in pair])


def test_an_adapter_of_other_layers_rank_or_alpha_is_refused(place: Path, killed: Killed) -> None:
    adapter = place / "students/tiny/1/adapter.safetensors"
    done = subprocess.run(
        [train_python(), "-c", OTHER_SHAPES, str(place / "base" / "tiny-2"), str(adapter)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    *refused, last = done.stdout.splitlines()
    assert last == "taken over"
    wrong = f"{adapter}: is an adapter of other layers, rank or alpha than `lora` says"
    assert [line.startswith(wrong) for line in refused] == [True] * 3


@pytest.mark.parametrize(
    ("changed", "articles", "says"),
    [
        ({"starts_from": "tiny/none"}, [], "starts_from: "),
        ({}, [{"title": "Fine"}] * 30, "30 articles with a date are too few"),
        ({}, [{"title": "Fine"}, {}], "bad.jsonl:2: "),
    ],
    ids=["a start that is not there", "too few articles", "a malformed row"],
)
def test_what_is_wrong_is_said_in_one_line_before_anything_is_made(
    place: Path, tmp_path: Path, changed: dict[str, Any], articles: list[Any], says: str
) -> None:
    rows = [{"id": f"a{i}", "published": "2026-01-01", **row} for i, row in enumerate(articles)]
    write_rows(tmp_path / "bad.jsonl", rows)
    (tmp_path / "queries.jsonl").write_text("")
    files = {name: str(tmp_path / file) for name, file in BAD_FILES.items()}
    done = interests(place, tmp_path / "run", **{**files, **changed})
    assert says in refusal(done)
    assert not (tmp_path / "run").exists()


BAD_FILES = {"articles": "bad.jsonl", "searches": "queries.jsonl"}


def test_one_command_makes_a_student_as_the_shipped_one_was_made_in_a_folder_of_ones_own(
    place: Path, tmp_path: Path
) -> None:
    """The real base, cut and trained for two steps on little data, sealed, built and verified."""
    before = {path.name: sha256_of(path) for path in SHIPPED.iterdir()}
    done = subprocess.run(
        [str(SHIPPED / "remake.sh"), "--smoke", str(place), str(tmp_path)],
        env={
            **os.environ,
            "PYTHON": train_python(),
            "ENCODERS": str(BUILT),
            "ENCODER_CACHE": str(ROOT / ".cache" / "encoder"),
        },
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name: sha256_of(path) for path in SHIPPED.iterdir()} == before
    student = tmp_path / "students" / "interests-small" / "9"
    assert {path.name for path in student.iterdir()} == before.keys() - {"remake.sh"}
    manifest = load_manifest(student)
    verify(manifest, tmp_path / "built" / "interests-small" / "9")
    trained = tmp_path / "train" / "adapter.safetensors"
    assert sha256_of(trained) == sha256_of(student / "adapter.safetensors")
    assert manifest.weights != load_manifest(SHIPPED).weights
