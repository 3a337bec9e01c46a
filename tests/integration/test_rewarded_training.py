"""Real trainings by rewards on a base of three narrow layers: taught by supervision first, then
rewarded, killed, gone on with, and refused where something is wrong."""

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

import pytest
import yaml

from models.packaging.registry import DEFAULT_STUDENT, find_student
from models.training.grpo.progress import Progress
from tests.parts.tiny_base import tiny_base
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
RISES_BY = 0.1
"""What the weighted mean of all rewards gains, at the least."""
SFT: dict[str, Any] = {
    "student": "tiny/1",
    "articles": "articles.jsonl",
    "people": {"views": 1600, "queries": 3},
    "budget": 160,
    "lora": {"rank": 16, "alpha": 32},
    "train": {"batch": 16, "learning_rate": 0.01, "checkpoint_steps": 1000},
    "watch": {"users": 2, "steps": 1000, "distinct_least": 0.1},
}
GRPO: dict[str, Any] = {
    "student": "tiny/2",
    "starts_from": "tiny/1",
    "articles": "articles.jsonl",
    "people": {"views": 60},
    "budget": 160,
    "lora": SFT["lora"],
    "group": {"prompts": 8, "lists": 8, "most_tokens": 32},
    "train": {"steps": 30, "learning_rate": 0.005, "kl": 0.0, "together": 8},
    "watch": {"users": TUNE, "steps": 10, "distinct_least": 0.1},
}

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Place:
    """Where everything lies."""

    folder: Path
    encoder: Path

    def train(
        self, technique: str, config: dict[str, Any], *more: str, folder: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Train as a user would."""
        out = self.folder / (folder or technique)
        written = self.folder / f"{out.name}.yaml"
        written.write_text(yaml.safe_dump(config))
        search = ("--encoder", str(self.encoder)) if technique == "grpo" else ()
        packages = [str(self.folder / "packages"), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.run(
            [
                *(train_python(), "-m", "service", "train", technique),
                *("--config", str(written), "--data", str(self.folder), "--out", str(out)),
                *("--students", str(self.folder / "students"), "--base", str(self.folder / "base")),
                *("--people", str(self.folder / "people"), *search, *more),
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


@dataclass(frozen=True)
class Rewarded:
    """A training by rewards, and what it left."""

    done: subprocess.CompletedProcess[str]
    out: Path

    @property
    def progress(self) -> Progress:
        return Progress.load(self.out / "progress.json")


@pytest.fixture(scope="module")
def rewarded(place: Place) -> Rewarded:
    """Taught by supervision, then by rewards."""
    taught = place.train("sft", SFT)
    assert taught.returncode == 0, taught.stderr
    shutil.copy(place.folder / "sft/adapter.safetensors", place.folder / "students/tiny/1")
    done = place.train("grpo", GRPO)
    assert done.returncode == 0, done.stderr
    return Rewarded(done, place.folder / "grpo")


def test_rewards_of_people_who_are_not_trained_on_rise(rewarded: Rewarded) -> None:
    first, *_, last = rewarded.progress.looks
    assert (first.step, last.step) == (0, 30)
    assert last.reward >= first.reward + RISES_BY
