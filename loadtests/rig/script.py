"""What the scenarios' commands share: flags, and errors in one line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from loadtests.rig.machine import ROOT
from loadtests.rig.plots import require_plots
from loadtests.rig.results import RESULTS
from loadtests.rig.rounds import LEAST_ROUNDS
from models.packaging.build import built_folder
from models.packaging.registry import DEFAULT_STUDENT, find_student
from models.studies.script import run_script
from service.errors import ConfigurationError
from service.manifest import MANIFEST


def flags(
    doc: str | None, *, rounds: int | None = LEAST_ROUNDS, seconds: float = 5.0
) -> argparse.ArgumentParser:
    """A parser with the flags of every scenario; `doc` is its module's docstring.

    `rounds` is None for a scenario without them.
    """
    cli = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    if rounds is not None:
        cli.add_argument("--rounds", type=int, default=rounds, help="all are measured once in each")
    cli.add_argument("--seconds", type=float, default=seconds, help="of each turn")
    cli.add_argument("--student", type=Path, help="a built student's student.yaml")
    cli.add_argument("--results", type=Path, default=RESULTS, help="folder for what is found")
    return cli


def read(cli: argparse.ArgumentParser) -> argparse.Namespace:
    """The flags as given, looked at.

    Ends the process with status 2 for those that make no sense. Raises `ConfigurationError` where a
    student or the plots' library is missing.
    """
    chosen = cli.parse_args()
    if chosen.seconds <= 0:
        cli.error("--seconds takes more than 0")
    for name in ("rounds", "callers", "users", "articles", "signals", "tokens", "batch"):
        if getattr(chosen, name, 1) < 1:
            cli.error(f"--{name} takes 1 or more")
    chosen.student = student_of(chosen.student)
    against = getattr(chosen, "against", None)
    if against is not None and not (against / "service").is_dir():
        raise ConfigurationError(f"--against: {against} is no checkout of this project")
    require_plots()
    return chosen


def asked(chosen: argparse.Namespace, **more: float) -> dict[str, object]:
    """What was asked for, for a result's data: numbers and words, no paths; and what is fixed."""
    given = {name: value for name, value in vars(chosen).items() if not isinstance(value, Path)}
    return {name: value for name, value in {**given, **more}.items() if value is not None}


def student_of(given: Path | None) -> Path:
    """`student.yaml` of a built student: the one given, or the one that `make run` has built."""
    default = built_folder(find_student(DEFAULT_STUDENT).manifest, ROOT / ".local" / "students")
    path = (given or default / MANIFEST).resolve()
    if not path.is_file():
        raise ConfigurationError(
            f"--student: {path} is not there; build one with `interests students build`"
        )
    return path


def run(main: Callable[[], None]) -> None:
    """Run a scenario's main: what the user can mend is one line and exit code 2."""
    run_script(main)
