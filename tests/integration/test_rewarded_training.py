"""Trainings by rewards on a base of three narrow layers: ended, gone on with, and refused where
something is wrong."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from models.packaging.adapter_file import read_delta
from models.packaging.registry import DEFAULT_STUDENT, find_student
from models.training.grpo.progress import Progress
from tests.parts.tiny_base import tiny_base, write_start
from tests.parts.train import ROOT, train_python

SHIPPED = find_student(DEFAULT_STUDENT).folder
TOPICS = {
    "ferry": "electric ferries in Norway",
    "chess": "world chess championship",
    "bread": "sourdough bread revival",
    "rocket": "private moon rockets",
    "strike": "nurses strike for pay",
    "glacier": "melting glaciers and water",
}
PORTRAIT = "Somebody of the tests, who reads about two things and has a long list of errands too."
TRAIN, TUNE = 12, 4
STEPS, MORE = 2, 4
"""Steps of a training, and when it has gone on."""
LORA = {"rank": 2, "alpha": 4}
GRPO: dict[str, Any] = {
    "student": "tiny/2",
    "starts_from": "tiny/1",
    "articles": "articles.jsonl",
    "people": {"views": 12},
    "budget": 160,
    "lora": LORA,
    "group": {"prompts": 4, "lists": 3, "most_tokens": 12},
    "train": {"steps": STEPS, "learning_rate": 0.01, "together": 2, "checkpoint_steps": 2},
    "watch": {"users": TUNE, "steps": 2, "distinct_least": 0.1},
}

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Place:
    """Where everything lies."""

    folder: Path
    encoder: Path

    def train(self, out: Path, *more: str, **changed: Any) -> subprocess.CompletedProcess[str]:
        """Train as a user would, by the usual configuration but for what is changed."""
        written = out.with_name(f"{out.name}.yaml")
        written.write_text(yaml.safe_dump({**GRPO, **changed}))
        packages = [str(self.folder / "packages"), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.run(
            [
                *(train_python(), "-m", "service", "train", "grpo"),
                *("--config", str(written), "--data", str(self.folder), "--out", str(out)),
                *("--students", str(self.folder / "students"), "--base", str(self.folder / "base")),
                *("--people", str(self.folder / "people"), "--encoder", str(self.encoder), *more),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(packages)},
            capture_output=True,
            text=True,
            timeout=580,
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, encoder_folder: Path) -> Place:
    folder = tmp_path_factory.mktemp("rewarded")
    package = ("-m", "tests.parts.tiny_base", str(folder / "packages"))
    subprocess.run([train_python(), *package], cwd=ROOT, check=True, timeout=120)
    write(folder / "articles.jsonl", articles())
    (folder / "people").mkdir()
    draw = random.Random(1)
    for split, count in (("train", TRAIN), ("tune", TUNE)):
        write(folder / "people" / f"{split}.jsonl", people(split, count, draw))
    judged = (folder / "people" / "tune.jsonl").read_text().splitlines()
    (folder / "people" / "tune.qrels").write_text("".join(qrels(map(json.loads, judged))))
    manifest = {"weights": tiny_base(folder / "packages").model_dump()}
    for version in ("1", "2"):
        student = folder / "students" / "tiny" / version
        student.mkdir(parents=True)
        for name in ("template.yaml", "vocabulary.json"):
            shutil.copy(SHIPPED / name, student)
        (student / "student.yaml").write_text(yaml.safe_dump(manifest))
    write_start(folder / "students/tiny/1/adapter.safetensors", LORA["rank"], LORA["alpha"])
    return Place(folder, encoder_folder)


def write(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def articles() -> Iterator[dict[str, Any]]:
    for name, topic in TOPICS.items():
        for number in range(12):
            title = f"{topic} {name} number{number}"
            yield {"id": f"{name}{number}", "title": title, "published": "2026-03-01"}


def people(split: str, count: int, draw: random.Random) -> Iterator[dict[str, Any]]:
    for number in range(count):
        chosen = draw.sample(sorted(TOPICS), 2)
        signals = [
            {"domain": "search", "text": f"{name} {word}", "interest": place}
            for place, name in enumerate(chosen, 1)
            for word in draw.sample(["today", "pictures", "explained", "tickets"], 2)
        ]
        signals += [{"domain": "browse", "text": "dentist opening hours"}]
        yield {
            "id": f"{split}-{number}",
            "now": "2026-02-01T08:00:00Z",
            "portrait": PORTRAIT,
            "interests": [{"name": name, "query": TOPICS[name]} for name in chosen],
            "signals": [{"at": "2026-01-20T08:00:00Z", **signal} for signal in signals],
        }


def qrels(read: Iterator[dict[str, Any]]) -> Iterator[str]:
    for person in read:
        for interest, one in enumerate(person["interests"], 1):
            for number in range(12):
                yield f"{person['id']} {interest} {one['name']}{number} 2\n"


@pytest.fixture(scope="module")
def run(place: Place) -> Path:
    """A training that came to its end, refused as another, and gone on with for more steps."""
    out = place.folder / "run"
    done = place.train(out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"{out / 'adapter.safetensors'}\n")
    (out / "adapter.safetensors").rename(out / "adapter.after-2")
    assert "was begun with another group" in refusal(
        place.train(out, "--resume", group={**GRPO["group"], "lists": 4})
    )
    assert "holds a run: add --resume" in refusal(place.train(out))
    more = place.train(out, "--resume", train={**GRPO["train"], "steps": MORE})
    assert more.returncode == 0, more.stderr
    return out


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """What a refused training says: the one line that its output ends with."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("error: ")
    return line


def test_each_step_and_each_look_is_kept_over_an_interruption(run: Path) -> None:
    progress = Progress.load(run / "progress.json")
    assert [row["step"] for row in progress.steps] == list(range(1, MORE + 1))
    assert [look.step for look in progress.looks] == [0, STEPS, MORE]
    assert {f"rewards/{name}" for name in ("relevance", "grounding", "form")} <= {
        name for row in progress.steps for name in row
    }
    assert all(row["kl"] >= 0 and row["entropy"] > 0 for row in progress.steps)
    assert (run / "training.png").stat().st_size > 1_000


def test_the_lists_that_are_worth_reading_are_left_as_a_page(run: Path) -> None:
    page = (run / "suspects.md").read_text()
    assert "## Highest rewards" in page
    assert "train-" in page


def test_a_step_moves_the_adapter_it_started_from_and_going_on_moves_it_further(
    place: Place, run: Path
) -> None:
    given = place.folder / "students/tiny/1/adapter.safetensors"
    assert read_delta(run / "adapter.safetensors").pairs.keys() == read_delta(given).pairs.keys()
    start = values(given)
    end, later = values(run / "adapter.after-2"), values(run / "adapter.safetensors")
    assert 0 < np.abs(end - start).max() < 0.1
    assert np.abs(later - end).max() > 0


def values(adapter: Path) -> Any:
    pairs = read_delta(adapter).pairs.values()
    return np.concatenate([side.ravel() for pair in pairs for side in pair])


def test_a_broken_curriculum_is_said_before_a_step_is_taken(place: Place, run: Path) -> None:
    broken = place.folder / "broken"
    shutil.copytree(run, broken)
    (broken / f"checkpoint-{MORE}" / "curriculum.json").write_text("{}")
    train = {**GRPO["train"], "steps": MORE + 1}
    said = refusal(place.train(broken, "--resume", train=train))
    assert "curriculum.json: cannot be gone on with" in said


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"starts_from": "tiny/none"}, "starts_from: "),
        ({"rewards": {"relevence": 1.0}}, "relevence: there is no such reward"),
        ({"articles": "none.jsonl"}, "none.jsonl"),
        ({"people": {"views": 4, "threads": 4}}, "threads.jsonl"),
    ],
    ids=["a start that is not there", "no such reward", "no articles", "no threads"],
)
def test_what_is_wrong_is_said_in_one_line_before_anything_is_made(
    place: Place, tmp_path: Path, changed: dict[str, Any], says: str
) -> None:
    assert says in refusal(place.train(tmp_path / "run", **changed))
    assert not (tmp_path / "run").exists()
