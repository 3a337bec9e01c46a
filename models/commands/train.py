"""`interests train`: train a student. `interests simulate`: write a simulated reading log."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from models.packaging.registry import STUDENTS
from service.errors import ConfigurationError, InterestsError, InvalidInput
from service.rows import BadRows

train = typer.Typer(no_args_is_help=True, help="Train students.")

_Cache = Annotated[Path, typer.Option(help="Folder of the sentence encoder.")]
_CACHE = Path(".cache/encoder")
_DISK = 700 * 2**20
_FULL = 64 * 2**20


@train.callback()
def _train() -> None:
    """Train students."""


@train.command("sft")
def sft(
    config: Annotated[Path, typer.Option(help="The run's configuration, YAML.")],
    data: Annotated[Path, typer.Option(help="Folder of the files that the configuration names.")],
    out: Annotated[
        Path | None, typer.Option(help="The run's folder. Default: .local/train/<student>.")
    ] = None,
    base: Annotated[Path, typer.Option(help="Folder of training bases.")] = Path(".local/base"),
    cache: _Cache = _CACHE,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = (
        False
    ),
) -> None:
    """Train by supervision on simulated users; leaves adapter.safetensors and plots in the folder.

    Stops early when lists collapse into one. Interrupt it at any time and go on with --resume.
    """
    from models.training.sft.config import load_config

    chosen = load_config(config)
    student = STUDENTS / chosen.student
    for name in ("template.yaml", "vocabulary.json"):
        if not (student / name).is_file():
            raise ConfigurationError(f"{student / name} is missing: a student needs it to train")
    begins_with = chosen.starts_from and STUDENTS / chosen.starts_from / "adapter.safetensors"
    if begins_with and not begins_with.is_file():
        raise ConfigurationError(
            f"starts_from: {begins_with} is missing; train that student first and put its adapter "
            "there, or name another"
        )
    out = out or Path(".local/train") / chosen.student.replace("/", "-")
    _require_room(out)
    console = Console(stderr=True)
    with _progress(console) as bar:
        try:
            from models.simulation.files import WatchedEncoder, open_world
            from models.training.plots import plot_training
            from models.training.run_folder import last_checkpoint
            from models.training.sft.train import train_student
        except ModuleNotFoundError as error:
            raise _no_environment(error) from error
        last_checkpoint(out, resume)  # refused before the minutes that follow
        encoder = WatchedEncoder(cache, _stage(bar))
        world = open_world(
            [str(data / chosen.articles)], str(data / chosen.searches), encoder, BadRows(0)
        )
        try:
            watch = train_student(
                chosen,
                world,
                encoder,
                student=student,
                base=base / chosen.student.replace("/", "-"),
                out=out,
                resume=resume,
                say=lambda text: bar.console.print(text, markup=False, highlight=False),
                begins_with=begins_with or None,
            )
            plot_training(watch, out / "training.png")
        except ModuleNotFoundError as error:
            raise _no_environment(error) from error
        except InterestsError:
            raise
        except Exception as error:
            # torch and safetensors have errors of their own for a disk that is full.
            if not isinstance(error, OSError) and _free(out) > _FULL:
                raise
            why = getattr(error, "strerror", None) or "the disk is full"
            raise ConfigurationError(
                f"{out}: cannot be written: {why}; "
                "make room, then run this again (with --resume where a checkpoint is there)"
            ) from error
    sys.stdout.write(f"{out / 'adapter.safetensors'}\n")


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


def _stage(bar: Progress) -> Callable[[str, int], Callable[[int], None]]:
    def begin(what: str, total: int) -> Callable[[int], None]:
        task = bar.add_task(what, total=total or None)
        return lambda done: bar.advance(task, done)

    return begin


def _no_environment(error: ModuleNotFoundError) -> ConfigurationError:
    return ConfigurationError(
        f"{error.name} is not installed here; install the training environment (make train) and "
        "run .venv-train/bin/interests"
    )


def _require_room(out: Path) -> None:
    if (free := _free(out)) < _DISK:
        raise InvalidInput(
            f"{free / 2**20:.0f} MiB are free for {out}, {_DISK / 2**20:.0f} MiB are needed",
            field="--out",
        )


def _free(out: Path) -> int:
    """Bytes free where a folder lies or will lie."""
    place = out.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free
