"""`interests users …`: forget users."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from service.settings import Settings, load_settings
from service.wiring import open_store

app = typer.Typer(no_args_is_help=True)

_DELETE_S = 5.0


@app.callback()
def users() -> None:
    """Forget users."""


@app.command()
def delete(user: Annotated[str, typer.Argument(help="User id.")]) -> None:
    """Remove a user's signals and kept lists now, and leave a tombstone for exports."""
    if asyncio.run(_delete(load_settings(), user)):
        typer.echo("deleted the user's signals and kept lists")
    else:
        typer.echo("nothing was stored of that user; the tombstone is set")


async def _delete(settings: Settings, user_id: str) -> bool:
    store = open_store(settings)
    try:
        return await store.delete(user_id, asyncio.get_running_loop().time() + _DELETE_S)
    finally:
        await store.close()
