"""`interests train`: train a student."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from models.packaging.registry import STUDENTS
from models.progress import Stage, bars, stages_of
from models.simulation.encoder import CACHE, WORLD_ENCODER
from service.errors import ConfigurationError, InterestsError
from service.folders import free_bytes, require_room
from service.rows import BadRows

if TYPE_CHECKING:
    from models.training.sft.config import SftConfig
    from models.training.sft.lessons import Teachers
    from models.training.sft.run import Run

train = typer.Typer(no_args_is_help=True, help="Train students.")

_DISK = 700 * 2**20
"""Bytes that a run needs: two checkpoints of the adapter with its optimiser, and the rest."""
_FULL = 64 * 2**20
"""Bytes free below which a disk counts as full."""


@train.callback()
def _train() -> None:
    """Train students."""


@train.command("sft")
def sft(
    config: Annotated[Path, typer.Option(help="The run's configuration, YAML.")],
    data: Annotated[Path, typer.Option(help="Folder of the files that the configuration names.")],
    students: Annotated[
        Path,
        typer.Option(help="Folder of students: <name>/<version>.", show_default="the registry"),
    ] = STUDENTS,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder. Default: .local/train/<student>.")
    ] = None,
    base: Annotated[Path, typer.Option(help="Folder of training bases.")] = Path(".local/base"),
    world_encoder: Annotated[
        Path,
        typer.Option(
            help="Folder of the built encoder that makes the world.",
            show_default="e5-small-v2's",
        ),
    ] = WORLD_ENCODER,
    cache: Annotated[Path, typer.Option(help="Folder of that encoder's vectors.")] = CACHE,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = (
        False
    ),
) -> None:
    """Train by supervision on people, simulated users or both.

    Leaves adapter.safetensors and plots in the folder. Stops early when lists collapse into one.
    Interrupt it at any time and go on with --resume.
    """
    with _explained():
        from models.training.sft.config import load_config
        from models.training.sft.run import prepare

        chosen = load_config(config)
        folder = out or Path(".local/train") / chosen.student.replace("/", "-")
        run = prepare(chosen, students, base, folder, resume=resume)
        require_room(folder, _DISK, "make room, or choose another place with --out")
        with _full_disk_said(folder):
            _trained(run, data, world_encoder, cache)
    sys.stdout.write(f"{run.adapter}\n")


def _trained(run: Run, data: Path, world_encoder: Path, cache: Path) -> None:
    """The run's teachers, the training, and its picture."""
    from models.training.plots import plot_training
    from models.training.sft import train as trainings

    with bars(Console(stderr=True)) as shown:
        teachers = _teachers(run.config, data, world_encoder, cache, stages_of(shown))
        watch = trainings.train_student(
            run, teachers, lambda text: shown.console.print(text, markup=False, highlight=False)
        )
        plot_training(watch, run.out / "training.png")


def _teachers(
    config: SftConfig, data: Path, world_encoder: Path, cache: Path, stage: Stage
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
    train, tune = read_people(people_file("train")), read_people(people_file("tune"))
    return Teachers(world, train, read_threads(threads_file()), tune, known)


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
