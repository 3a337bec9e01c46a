"""`interests signals …`: load users' signals from files, and look at a user's."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from service.commands.bad_rows import ShownRows
from service.dates import parse_time
from service.records import Appended, Signal, UserState
from service.settings import Settings, load_settings
from service.signals.read_log import ReadLog
from service.signals.readers import read_signals
from service.signals.store import now_ms
from service.signals.titles import read_titles
from service.wiring import open_store

app = typer.Typer(no_args_is_help=True, help="Load and look at users' signals.")

_BATCH = 10_000
"""Signals that are written at once: users' histories arrive whole, and memory stays bounded."""
_BATCH_S = 60.0
_SHOW_S = 5.0

Batch = dict[str, list[Signal]]


@app.command()
def load(
    files: Annotated[
        list[str],
        typer.Argument(
            help="JSON lines or MIND's behaviors.tsv, plain or gzipped, or EB-NeRD's "
            "behaviors.parquet and history.parquet; - is stdin."
        ),
    ],
    news: Annotated[
        str | None,
        typer.Option(help="Titles for click logs: a file that `index load` reads."),
    ] = None,
    max_errors: Annotated[int, typer.Option(min=0, help="Bad rows to pass over.")] = 0,
    moment: Annotated[
        str | None,
        typer.Option("--time", help="Time (ISO 8601) of click logs that have none. Default: now."),
    ] = None,
) -> None:
    """Store the signals of files. Loading a file again changes nothing."""
    settings = load_settings()
    now = now_ms()
    untimed = now if moment is None else parse_time(moment, "--time")
    bad = ShownRows(max_errors)
    log = ReadLog(bad)
    titles = None if news is None else read_titles(news, log)
    rows = chain.from_iterable(read_signals(file, log, now, titles, untimed) for file in files)
    started = time.perf_counter()
    read, done, users = asyncio.run(_load(settings, rows))
    seconds = time.perf_counter() - started
    console = Console(stderr=True)
    bad.close()
    if log.unknown_articles:
        console.print(
            f"passed over {log.unknown_articles:,} clicks on articles not in {news}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if log.with_html:
        texts = "1 text" if log.with_html == 1 else f"{log.with_html:,} texts"
        typer.echo(f"cleaned HTML in {texts}", err=True)
    whose = "1 user" if users == 1 else f"{users:,} users"
    typer.echo(
        f"read {read:,} signals of {whose} in {seconds:.1f} s: "
        f"{done.stored:,} stored, {done.repeated:,} known already, "
        f"{done.dropped:,} dropped (of a deleted user, or older than all that is kept)"
    )


@app.command()
def show(
    user: Annotated[str, typer.Argument(help="User id.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what is stored of a user: signals and kept lists."""
    state = asyncio.run(_read(load_settings(), user))
    if as_json:
        typer.echo(orjson.dumps(state, option=orjson.OPT_INDENT_2).decode())
        return
    # Lines, not tables: their columns would cut texts and ids where a terminal is narrow.
    typer.echo("signals" if state.signals else "no signals")
    for signal in state.signals:
        typer.echo(f"  {_shown(signal.at_ms)}  {signal.domain:8}  {_one_line(signal.text)}")
        about = {"item": signal.item, "category": signal.category, "weight": f"{signal.weight:g}"}
        said = (f"{name} {_one_line(value)}" for name, value in about.items() if value is not None)
        typer.echo(f"      {', '.join(said)}")
    for kept in state.kept:
        typer.echo(f"kept by {kept.student}, {_shown(kept.made_at_ms)}")
        for query in kept.queries:
            typer.echo(f"  {query.weight:<4g}  {query.origin:9}  {_one_line(query.text)}")
    if state.corrupt:
        typer.echo(f"{state.corrupt} stored entries cannot be read")


def _one_line(text: str) -> str:
    """A stored text with its line breaks and control characters spelled out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


async def _load(
    settings: Settings, rows: Iterator[tuple[str, Iterable[Signal]]]
) -> tuple[int, Appended, int]:
    """Signals read, what became of them, and users."""
    read = stored = repeated = dropped = 0
    users: set[str] = set()
    console = Console(stderr=True)
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} signals"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    store = open_store(settings)
    try:
        with progress:
            task = progress.add_task("load", total=None)
            for batch in _batches(rows):
                until = asyncio.get_running_loop().time() + _BATCH_S
                done = await store.append_many(batch, until)
                stored, repeated = stored + done.stored, repeated + done.repeated
                dropped += done.dropped
                users.update(batch)
                read += sum(map(len, batch.values()))
                progress.update(task, completed=read)
    finally:
        await store.close()
    return read, Appended(stored, repeated, dropped), len(users)


def _batches(rows: Iterator[tuple[str, Iterable[Signal]]]) -> Iterator[Batch]:
    """Signals by user, some thousands at a time."""
    batch: defaultdict[str, list[Signal]] = defaultdict(list)
    size = 0
    for user_id, signals in rows:
        before = len(batch[user_id])
        batch[user_id].extend(signals)
        size += len(batch[user_id]) - before
        if size >= _BATCH:
            yield batch
            batch, size = defaultdict(list), 0
    if size:
        yield batch


async def _read(settings: Settings, user_id: str) -> UserState:
    store = open_store(settings)
    try:
        return await store.get(user_id, asyncio.get_running_loop().time() + _SHOW_S)
    finally:
        await store.close()


def _shown(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
