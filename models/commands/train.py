"""`interests train`: train a student."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from models.packaging.registry import STUDENTS
from models.people.reading import HERE
from models.progress import Stage, bars, stages_of
from models.simulation.encoder import CACHE, WORLD_ENCODER
from service.errors import ConfigurationError, InterestsError
from service.folders import free_bytes, require_room
from service.rows import BadRows

if TYPE_CHECKING:
    from models.training.grpo.config import GrpoConfig
    from models.training.run import Run
    from models.training.sft.config import SftConfig
    from models.training.sft.lessons import Teachers

train = typer.Typer(no_args_is_help=True, help="Train students.")

_DISK = 700 * 2**20
"""Bytes that a run needs: two checkpoints of the adapter with its optimiser, and the rest."""
_FULL = 64 * 2**20
"""Bytes free below which a disk counts as full."""


@train.callback()
def _train() -> None:
    """Train students."""


_Config = Annotated[Path, typer.Option(help="The run's configuration, YAML.")]
_Data = Annotated[Path, typer.Option(help="Folder of the files that the configuration names.")]
_Students = Annotated[
    Path, typer.Option(help="Folder of students: <name>/<version>.", show_default="the registry")
]
_Out = Annotated[
    Path | None, typer.Option(help="The run's folder. Default: .local/train/<student>.")
]
_Base = Annotated[Path, typer.Option(help="Folder of training bases.")]
_People = Annotated[
    Path,
    typer.Option(help="Folder of people, threads and judgements.", show_default="the project's"),
]
_Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")]


@train.command("sft")
def sft(
    config: _Config,
    data: _Data,
    students: _Students = STUDENTS,
    out: _Out = None,
    base: _Base = Path(".local/base"),
    people: _People = HERE,
    world_encoder: Annotated[
        Path,
        typer.Option(
            help="Folder of the built encoder that makes the world.",
            show_default="e5-small-v2's",
        ),
    ] = WORLD_ENCODER,
    cache: Annotated[Path, typer.Option(help="Folder of that encoder's vectors.")] = CACHE,
    resume: _Resume = False,
) -> None:
    """Train by supervision on people, simulated users or both.

    Leaves adapter.safetensors and plots in the folder. Stops early when lists collapse into one.
    Interrupt it at any time and go on with --resume.
    """
    with _explained():
        from models.training.run import prepare
        from models.training.sft.config import load_config

        chosen = load_config(config)
        folder = out or Path(".local/train") / chosen.student.replace("/", "-")
        run = prepare(chosen, students, base, folder, resume=resume)
        require_room(folder, _DISK, "make room, or choose another place with --out")
        with _full_disk_said(folder):
            _trained(run, data, people, world_encoder, cache)
    sys.stdout.write(f"{run.adapter}\n")


@train.command("grpo")
def grpo(
    config: _Config,
    data: _Data,
    encoder: Annotated[
        Path, typer.Option(help="Folder of the built encoder that searches by meaning.")
    ],
    students: _Students = STUDENTS,
    out: _Out = None,
    base: _Base = Path(".local/base"),
    people: _People = HERE,
    resume: _Resume = False,
) -> None:
    """Train a student further by rewards: its sampled lists are searched, and better ones learnt.

    Leaves adapter.safetensors, progress.json, plots and suspects.md (the lists worth reading) in
    the folder. Stops early when lists collapse into one. Interrupt it at any time and go on with
    --resume.
    """
    with _explained():
        from models.training.grpo.config import load_config
        from models.training.run import prepare

        chosen = load_config(config)
        folder = out or Path(".local/train") / chosen.student.replace("/", "-")
        run = prepare(chosen, students, base, folder, resume=resume)
        require_room(folder, _DISK, "make room, or choose another place with --out")
        with _full_disk_said(folder):
            _rewarded(run, data, people, encoder)
    sys.stdout.write(f"{run.adapter}\n")


def _rewarded(run: Run[GrpoConfig], data: Path, people: Path, encoder: Path) -> None:
    """The run's people, the search that rewards them, the training, and its picture."""
    from models.evaluation.bench import Bench
    from models.evaluation.people_run import load_people
    from models.people.reading import people_file, read_people, read_threads, threads_file
    from models.rewards.outcomes import Outcomes
    from models.rewards.targets import judged_targets
    from models.training.grpo.plots import plot_progress
    from models.training.grpo.train import World, train_by_rewards
    from service.encoding.manifest import load_encoder_manifest
    from service.encoding.onnx import OnnxModel
    from service.retrieval.fusion import FusionSettings

    judged = load_people([str(data / run.config.articles)], "tune", people)
    taught = read_people(people_file("train", people))
    threads = read_threads(threads_file(people)) if run.config.people.threads else ()
    model = OnnxModel(load_encoder_manifest(encoder), encoder, threads=os.cpu_count() or 1)
    settings = replace(FusionSettings(), freshness_weight=0.0)
    with bars(Console(stderr=True)) as shown:
        indexed = stages_of(shown)("articles indexed and encoded", len(judged.data.articles))
        with Bench(judged.data, settings=settings, encoder=model, progress=indexed) as bench:
            outcomes = Outcomes(bench, model)
            world = World(
                people=taught,
                threads=threads,
                watched=list(judged_targets(judged, outcomes)),
                articles={article.id: article for article in judged.data.articles},
                outcomes=outcomes,
            )
            progress = train_by_rewards(
                run, world, lambda text: shown.console.print(text, markup=False, highlight=False)
            )
        plot_progress(progress, run.out / "training.png")


def _trained(
    run: Run[SftConfig], data: Path, people: Path, world_encoder: Path, cache: Path
) -> None:
    """The run's teachers, the training, and its picture."""
    from models.training.plots import plot_training
    from models.training.sft import train as trainings

    with bars(Console(stderr=True)) as shown:
        teachers = _teachers(run.config, data, people, world_encoder, cache, stages_of(shown))
        watch = trainings.train_student(
            run, teachers, lambda text: shown.console.print(text, markup=False, highlight=False)
        )
        plot_training(watch, run.out / "training.png")


def _teachers(
    config: SftConfig, data: Path, people: Path, world_encoder: Path, cache: Path, stage: Stage
) -> Teachers:
    """Whoever the configuration names. Raises `InvalidInput` and `ConfigurationError`."""
    from models.people.reading import (
        good_rows,
        people_file,
        read_people,
        read_threads,
        threads_file,
    )
    from models.simulation import files
    from models.training.sft.lessons import Teachers
    from service.retrieval.indexes.readers import read_articles

    articles = str(data / config.articles)
    world = None
    if config.mixes:
        encoder = files.WatchedEncoder(world_encoder, cache, stage)
        world = files.open_world([articles], str(data / str(config.searches)), encoder, BadRows(0))
    if config.people is None:
        return Teachers(world)
    known = {article.id: article for article in good_rows(read_articles(articles))}
    train, tune = (read_people(people_file(split, people)) for split in ("train", "tune"))
    threads = read_threads(threads_file(people)) if config.people.threads else ()
    return Teachers(world, train, threads, tune, known)


@contextmanager
def _explained() -> Iterator[None]:
    """What is missing of the training environment, with the remedy."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{error.name} is not installed here; install the training environment (`make train`) "
            "and run .venv-train/bin/interests"
        ) from error


@contextmanager
def _full_disk_said(out: Path) -> Iterator[None]:
    """What cannot be written because the disk is full, in one line with the remedy."""
    try:
        yield
    except (InterestsError, ModuleNotFoundError):
        raise
    except Exception as error:
        # torch and safetensors have errors of their own for a disk that is full.
        if not isinstance(error, OSError) and free_bytes(out) > _FULL:
            raise
        why = getattr(error, "strerror", None) or "the disk is full"
        raise ConfigurationError(
            f"{out}: cannot be written: {why}; "
            "make room, then run this again (with --resume where a checkpoint is there)"
        ) from error
