"""`interests events …`: export what was served and what readers did with it; see what is lost."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from service.errors import EventsUnavailable, RedisUnavailable
from service.events.export.folder import ExportFolder, Form, opened
from service.events.export.losses import losses as losses_of
from service.events.export.report import Totals, losses_lines, run_lines
from service.events.export.run import Exporter
from service.events.export.summary import read_summaries
from service.events.export.tables import TablesOf, tables_of
from service.redis.calls import Calls
from service.settings import Settings, load_settings
from service.wiring import open_redis, open_store

app = typer.Typer(no_args_is_help=True)

_FOLLOW_S = 60.0
"""Pause between two rounds of `--follow`."""
_DELETED_S = 30.0
"""Longest that a look for deleted users may take."""


class Format(StrEnum):
    """What the files of a segment are."""

    PARQUET = "parquet"
    JSONL = "jsonl"


@app.callback()
def events() -> None:
    """Export what was served and what readers did with it, and see what is missing."""


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Folder that the segments are written to.")],
    form: Annotated[
        Format, typer.Option("--format", help="Files to write; parquet needs the extra `parquet`.")
    ] = Format.PARQUET,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on, every minute, until SIGTERM or Ctrl-C.")
    ] = False,
    segment_entries: Annotated[
        int, typer.Option(min=1, help="Entries of the stream in a segment, at the most.")
    ] = 50_000,
) -> None:
    """Write what came since the last export into FOLDER. Every event is written once."""
    settings = load_settings()
    kind: Form = "parquet" if form is Format.PARQUET else "jsonl"
    make = tables_of(kind)
    started = time.perf_counter()
    with opened(folder, kind) as into:
        totals = asyncio.run(_export(settings, into, make, segment_entries, follow))
    seconds = time.perf_counter() - started
    for line in run_lines(totals):
        typer.echo(line)
    if totals.processes:
        found = losses_of(read_summaries(folder))
        for line in losses_lines([one for one in found if one.process in totals.processes]):
            typer.echo(line)
    rate = totals.entries / max(seconds, 1e-3)
    typer.echo(f"done in {seconds:,.1f} s, {rate:,.0f} entries a second")


@app.command()
def losses(
    folder: Annotated[Path, typer.Argument(help="Folder of exported segments.")],
) -> None:
    """Say which exposures are missing from FOLDER, by the numbers that each process gave them."""
    for line in losses_lines(losses_of(read_summaries(folder))):
        typer.echo(line)


async def _export(
    settings: Settings, folder: ExportFolder, make: TablesOf, size: int, follow: bool
) -> Totals:
    totals = Totals()
    if not follow:
        await _round(settings, folder, make, size, totals)
        return totals
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    rounds = asyncio.create_task(_rounds(settings, folder, make, size, totals))
    stop = asyncio.create_task(stopped.wait())
    await asyncio.wait({rounds, stop}, return_when=asyncio.FIRST_COMPLETED)
    for task in (rounds, stop):
        task.cancel()
    # A segment that was being written is removed; the next export reads it again.
    ended, _ = await asyncio.gather(rounds, stop, return_exceptions=True)
    if isinstance(ended, Exception):
        raise ended
    return totals


async def _rounds(
    settings: Settings, folder: ExportFolder, make: TablesOf, size: int, totals: Totals
) -> None:
    """One export after the other. While Redis is away it says so, and tries again.

    In the first one that is an error: nothing has shown yet that it was ever right.
    """
    worked = False
    while True:
        before = totals.entries
        try:
            await _round(settings, folder, make, size, totals)
            worked = True
        except RedisUnavailable as error:
            if not worked:
                raise
            typer.echo(f"{error}; trying again in {_FOLLOW_S:.0f} s", err=True)
        if (more := totals.entries - before) > 0:
            typer.echo(f"exported {more:,} entries, {totals.entries:,} so far", err=True)
        await asyncio.sleep(_FOLLOW_S)


async def _round(
    settings: Settings, folder: ExportFolder, make: TablesOf, size: int, totals: Totals
) -> None:
    client = open_redis(settings)
    store = open_store(settings, client)

    async def deleted_at(user_ids: Collection[str]) -> dict[str, int]:
        return await store.deleted_at(user_ids, asyncio.get_running_loop().time() + _DELETED_S)

    console = Console(stderr=True)
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} entries, {task.fields[segments]:,} segments"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    try:
        with progress:
            task = progress.add_task("export", total=None, segments=0)
            exporter = Exporter(
                Calls(client, at_once=1, failure=EventsUnavailable),
                folder,
                make,
                deleted_at,
                size=size,
                told=lambda count: progress.advance(task, count),
            )
            async for segment, summary in exporter.segments():
                totals.add(segment.partition, summary)
                progress.update(task, segments=totals.segments)
    finally:
        await store.close()
