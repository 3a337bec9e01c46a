"""`interests index …`: load articles, change them, remove them."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from service.commands.bad_rows import ShownRows
from service.dates import parse_time
from service.errors import ConfigurationError, EncoderUnavailable, InvalidInput, RetrievalError
from service.records import Article
from service.retrieval.indexes import loading
from service.retrieval.indexes.analysis import definition
from service.retrieval.indexes.loading import ArticleEncoder, ArticleWriter, LoadReport
from service.retrieval.indexes.readers import ReadArticles, read_articles, read_ids
from service.rows import BadRow
from service.settings import Settings, load_settings
from service.wiring import open_index_writer
from service.wiring_encoders import open_article_encoder

app = typer.Typer(no_args_is_help=True, help="Load, change and remove articles.")

T = TypeVar("T")

Files = Annotated[
    list[str],
    typer.Argument(
        help="JSON lines or MIND's news.tsv, plain or gzipped, or EB-NeRD's articles.parquet; - is "
        "stdin."
    ),
]
MaxErrors = Annotated[
    int,
    typer.Option(min=0, help="Bad rows to pass over. At one more, nothing is changed."),
]
Published = Annotated[
    str | None, typer.Option(help="Date (ISO 8601) of articles that have none of their own.")
]
TakeOff = Annotated[
    bool,
    typer.Option(
        "--take-off",
        help="Take indices that no load made off the alias on OpenSearch. They are kept.",
    ),
]


@app.command()
def load(
    files: Files,
    max_errors: MaxErrors = 0,
    published: Published = None,
    take_off: TakeOff = False,
) -> None:
    """Replace the whole index, at one stroke when all files are in."""
    settings, seen = load_settings(), ReadArticles()
    rows = _read(files, published, seen)
    bad = ShownRows(max_errors, outcome=loading.NOTHING_CHANGED)
    started = time.perf_counter()
    with _progress() as progress:
        task = progress.add_task("articles", total=None)

        async def work(writer: ArticleWriter, encoder: ArticleEncoder | None) -> LoadReport:
            return await loading.load(
                writer,
                rows,
                bad,
                encoder=encoder,
                on_progress=lambda count: progress.advance(task, count),
            )

        report = _with_writer(settings, work, take_off=take_off)
    bad.close()
    typer.echo(f"loaded {_summary(report, seen, started)}; live as {report.name}")
    if report.taken_off:
        kept = ", ".join(report.taken_off)
        typer.echo(f"taken off the alias {settings.index_name}, and kept: {kept}")


@app.command()
def upsert(files: Files, max_errors: MaxErrors = 0, published: Published = None) -> None:
    """Add articles to the live index, or replace those with the same id."""
    settings, seen = load_settings(), ReadArticles()
    rows = _read(files, published, seen)
    bad = ShownRows(max_errors, outcome=loading.NOTHING_CHANGED)
    started = time.perf_counter()

    async def work(writer: ArticleWriter, encoder: ArticleEncoder | None) -> LoadReport:
        return await loading.upsert(writer, rows, bad, encoder=encoder)

    report = _with_writer(settings, work)
    bad.close()
    typer.echo(f"wrote {_summary(report, seen, started)}")


@app.command()
def delete(
    ids: Annotated[list[str], typer.Argument(help="Ids; - reads ids or JSON lines from stdin.")],
) -> None:
    """Remove articles from the live index. Ids that are not there are no error."""
    wanted = list(dict.fromkeys(chain(*(read_ids(id_) if id_ == "-" else [id_] for id_ in ids))))
    if not wanted:
        raise InvalidInput("there is no id in the input")

    async def work(writer: ArticleWriter, encoder: ArticleEncoder | None) -> int:
        return await writer.delete(wanted)

    removed = _with_writer(load_settings(), work, encodes=False)
    typer.echo(f"removed {removed:,} of {len(wanted):,}")


@app.command()
def mapping() -> None:
    """Print what an ingester of your own creates an index on OpenSearch by, as JSON."""
    found = definition(load_settings().index_language)
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))


def _read(
    files: list[str], published: str | None, seen: ReadArticles
) -> Iterator[Article | BadRow]:
    if files.count("-") > 1:
        raise InvalidInput("- (standard input) can be read once only")
    undated_ms = 0 if published is None else parse_time(published, "--published")
    return chain.from_iterable(read_articles(file, undated_ms, seen) for file in files)


def _with_writer(
    settings: Settings,
    work: Callable[[ArticleWriter, ArticleEncoder | None], Awaitable[T]],
    *,
    take_off: bool = False,
    encodes: bool = True,
) -> T:
    async def run() -> T:
        encoder = open_article_encoder(settings) if encodes else None
        writer = open_index_writer(settings, take_off=take_off)
        try:
            return await work(writer, encoder)
        finally:
            await writer.close()
            if encoder is not None:
                await encoder.close()

    try:
        return asyncio.run(run())
    except (RetrievalError, EncoderUnavailable) as error:
        raise ConfigurationError(str(error)) from error


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} {task.description}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def _summary(report: LoadReport, seen: ReadArticles, started: float) -> str:
    notes = [f"{time.perf_counter() - started:.1f} s"]
    if seen.with_html:
        notes.append(f"cleaned HTML in {_articles(seen.with_html)}")
    if seen.undated:
        notes.append(f"{seen.undated:,} without a date")
    if report.replaced:
        notes.append(f"{report.replaced:,} gave way to a later one with the same id")
    if report.bad:
        notes.append(f"{report.bad:,} bad rows passed over")
    return f"{_articles(report.articles)} ({', '.join(notes)})"


def _articles(count: int) -> str:
    return "1 article" if count == 1 else f"{count:,} articles"
