"""`interests users …`: forget users."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from service.events.export.folder import segments_in
from service.events.ledger import segments_with
from service.forget import Forgotten, forget
from service.settings import Settings, load_settings
from service.wiring import open_events, open_redis, open_store

app = typer.Typer(no_args_is_help=True)

_DELETE_S = 5.0


@app.callback()
def users() -> None:
    """Forget users."""


@app.command()
def delete(
    user: Annotated[str, typer.Argument(help="User id.")],
    exports: Annotated[
        Path | None,
        typer.Option(help="Folder of exported events: list the segments that hold the user's."),
    ] = None,
) -> None:
    """Remove a user's signals, kept lists and events now, and leave a tombstone for exports."""
    if exports is not None:
        segments_in(exports)  # a folder that is not there is said before anything is deleted
    gone = asyncio.run(_delete(load_settings(), user))
    if gone.signals:
        typer.echo("deleted the user's signals and kept lists")
    if gone.events:
        typer.echo(f"deleted {gone.events} of the user's exposures, shadows and feedback events")
    if not (gone.signals or gone.events):
        typer.echo("nothing was stored of that user; the tombstone is set")
    if exports is not None:
        _list_exported(exports, user)


def _list_exported(folder: Path, user: str) -> None:
    """Say which segments hold the user's events: a segment is replaced or removed as a whole."""
    found = False
    for held in segments_with(folder, user):
        found = True
        counts = ", ".join(f"{count} in {name}" for name, count in held.counts.items())
        typer.echo(f"{held.segment}: {counts}")
    if not found:
        typer.echo(f"no segment in {folder} holds events of that user")


async def _delete(settings: Settings, user_id: str) -> Forgotten:
    client = open_redis(settings)
    try:
        until = asyncio.get_running_loop().time() + _DELETE_S
        store, events = open_store(settings, client), open_events(settings, client)
        return await forget(store, events, user_id, until)
    finally:
        await client.aclose()
