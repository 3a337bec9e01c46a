"""`interests students`: list, build, verify and promote students."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from models.packaging.build import build_adapter, build_student, built_folder
from models.packaging.registry import DEFAULT_STUDENT, find_student, list_students
from models.packaging.seal import seal_student
from service.errors import InvalidInput
from service.manifest import MANIFEST, verify

students = typer.Typer(no_args_is_help=True, help="List, build, seal, verify and promote students.")

_Name = Annotated[str, typer.Argument(help="`name`, `name@version`, or a student's folder.")]
_Into = Annotated[Path, typer.Option(help="Folder that holds built students.")]
_BUILT = Path(".local/students")
_ADAPTERS = Path(".local/adapters")


@students.command("list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifests as JSON.")] = False,
) -> None:
    """List the students in the registry."""
    if as_json:
        found = [entry.manifest.model_dump(mode="json") for entry in list_students()]
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for entry in list_students():
        m = entry.manifest
        size = f"{m.parameters / 1e6:.0f} M parameters"
        typer.echo(f"{m.key}  ({size}, {m.weights.kind}, {m.licence})")
        if m.summary:
            typer.echo(f"    {m.summary}")


@students.command("build")
def build_command(
    name: _Name = DEFAULT_STUDENT,
    into: Annotated[
        Path | None,
        typer.Option(
            help="Folder that holds built students.",
            show_default=f"{_BUILT}, of adapters {_ADAPTERS}",
        ),
    ] = None,
    adapter_of: Annotated[
        str | None,
        typer.Option(
            help="Build it as an adapter, to be served beside this student, its recipe without a "
            "delta."
        ),
    ] = None,
) -> None:
    """Build a student into a folder that gateway and engine serve from."""
    entry = find_student(name)
    base = None if adapter_of is None else find_student(adapter_of).manifest
    target = built_folder(entry.manifest, into or (_BUILT if base is None else _ADAPTERS))
    with _building(entry.manifest.key) as show:
        if base is None:
            built = build_student(entry.folder, target, show)
        else:
            built = build_adapter(entry.folder, base, target, show)
    sys.stdout.write(f"{target} {'built' if built else 'is up to date'}\n")


@students.command("seal")
def seal_command(
    folder: Annotated[Path, typer.Argument(help="The student's folder.")],
    adapter: Annotated[
        Path | None, typer.Option(help="A trained adapter.safetensors to put into a recipe first.")
    ] = None,
) -> None:
    """Write the checksums of a student's parts, and of what is built of them, into its manifest.

    For a recipe, and for a Hugging Face folder with a template.yaml, which gets a manifest where it
    has none.
    """
    with _building(str(folder)) as show:
        new = seal_student(folder, adapter, show)
    sys.stdout.write(f"{folder} is sealed\n")
    if new:
        sys.stdout.write(
            f"{folder / MANIFEST} is new: look it through; licence and lineage are for you to say\n"
        )


@students.command("verify")
def verify_command(name: _Name = DEFAULT_STUDENT, into: _Into = _BUILT) -> None:
    """Check every checksum of a built student."""
    entry = find_student(name)
    target = entry.folder if Path(name).is_dir() else built_folder(entry.manifest, into)
    verify(entry.manifest, target)
    sys.stdout.write(f"{target}: {entry.manifest.key} is whole\n")


@students.command("promote")
def promote_command(
    candidate: Annotated[str, typer.Argument(help="The student that is to serve.")],
    report: Annotated[
        Path, typer.Option(help="Folder of a report of both on test people (`--compare`).")
    ],
    over: Annotated[
        str, typer.Option(help="The student that serves.", show_default="the shipped one")
    ] = DEFAULT_STUDENT,
    budget: Annotated[
        float,
        typer.Option(min=0.01, help="Times the serving one's median latency that it may take."),
    ] = 1.5,
    into: _Into = _BUILT,
) -> None:
    """Let a student take another's place, or refuse with every reason.

    Its quality has to be better, or equal and cheaper, beyond noise; its lists valid; its lineage
    said; its files whole. Writes the experiment that brings it to users, for a layer of the file
    of experiments.
    """
    from models.evaluation.promotion import decide, experiment
    from models.evaluation.report.write import read_report

    entry, serving = find_student(candidate), find_student(over)
    if entry.manifest.key == serving.manifest.key:
        raise InvalidInput(
            f"is {serving.manifest.key} as well; name the student that serves with --over",
            field="CANDIDATE",
        )
    target = entry.folder if Path(candidate).is_dir() else built_folder(entry.manifest, into)
    verify(entry.manifest, target)
    decision = decide(read_report(report), entry.manifest, serving.manifest, budget)
    for reason in decision.because:
        sys.stderr.write(f"for it: {reason}\n")
    for reason in decision.refused:
        sys.stderr.write(f"against it: {reason}\n")
    if decision.refused:
        raise InvalidInput(
            f"{entry.manifest.key} does not take the place of {serving.manifest.key}: "
            + "; ".join(decision.refused)
        )
    sys.stdout.write("\n".join(experiment(entry.manifest)) + "\n")


@contextmanager
def _building(name: str) -> Iterator[Callable[[str, float], None]]:
    """A bar that says what is being done to a student."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=1.0)

        def show(what: str, share: float) -> None:
            bar.update(task, description=f"{name}: {what}", completed=share)

        yield show
