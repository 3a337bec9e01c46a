"""`interests adapters`: load and unload adapters in an engine that runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from models.engine.adapters import read_adapter
from models.engine.loading import load_adapter, unload_adapter

adapters = typer.Typer(
    no_args_is_help=True, help="Load adapters into an engine that runs, and unload them."
)

_Engine = Annotated[
    str, typer.Option(help="URL of an engine that was started with --runtime-adapters.")
]
_Key = Annotated[
    str | None, typer.Option(envvar="VLLM_API_KEY", help="The engine's key.", show_default=False)
]
_HERE = "http://127.0.0.1:8001"


@adapters.command("load")
def load_command(
    folder: Annotated[Path, typer.Argument(help="A built adapter's folder.")],
    engine: _Engine = _HERE,
    seen_as: Annotated[
        str | None, typer.Option(help="Where the engine finds that folder, if elsewhere.")
    ] = None,
    api_key: _Key = None,
) -> None:
    """Check an adapter, and have an engine that runs serve it too."""
    adapter = read_adapter(folder)
    load_adapter(engine, adapter, seen_as or str(adapter.folder.resolve()), api_key)
    sys.stdout.write(f"{adapter.manifest.key} is served by {engine}\n")


@adapters.command("unload")
def unload_command(
    name: Annotated[str, typer.Argument(help="`name@version` of the adapter's student.")],
    engine: _Engine = _HERE,
    api_key: _Key = None,
) -> None:
    """Have an engine that runs no longer serve an adapter; first take it out of all gateways."""
    unload_adapter(engine, name, api_key)
    sys.stdout.write(f"{name} is no longer served by {engine}\n")
