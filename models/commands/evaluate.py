"""`interests evaluate`: how good a student's queries are, beside baselines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from models.packaging.registry import DEFAULT_STUDENT
from service.defaults import OWN_WEIGHT
from service.errors import InvalidInput

if TYPE_CHECKING:
    from models.evaluation.sources import Source

_REPORTS = Path(".local/evaluation")

Engines = Annotated[
    list[str] | None,
    typer.Option(help="URL of an engine that serves the student; repeat it to share the users."),
]


def evaluate(
    student: Annotated[
        str, typer.Option(help="`name`, `name@version`, or a built student's folder.")
    ] = DEFAULT_STUDENT,
    engine: Engines = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(metavar="URL=STUDENT", help="A further student, at its own engine."),
    ] = None,
    into: Annotated[
        Path, typer.Option(help="Folder that `interests students build` built into.")
    ] = Path(".local/students"),
    engine_key: Annotated[
        str | None, typer.Option(envvar="VLLM_API_KEY", help="The engines' key.")
    ] = None,
    articles: Annotated[
        list[str] | None,
        typer.Option(help="Articles with dates to simulate readers from; repeat for more files."),
    ] = None,
    searches: Annotated[
        str | None,
        typer.Option(help="JSON lines with source and query; those of source `nq` are used."),
    ] = None,
    split: Annotated[
        Literal["tune", "valid", "test"],
        typer.Option(help="Whose interests and time; tune: valid's interests in training's time."),
    ] = "test",
    mix: Annotated[
        Literal["hard", "easy", "clicks"], typer.Option(help="How hard signals are.")
    ] = "hard",
    users: Annotated[int, typer.Option(min=1, help="How many simulated users.")] = 300,
    news: Annotated[
        str | None, typer.Option(help="A log's articles: news.tsv of MIND, or JSON lines.")
    ] = None,
    behaviors: Annotated[
        str | None, typer.Option(help="A log's impressions: behaviors.tsv of MIND.")
    ] = None,
    max_impressions: Annotated[
        int | None, typer.Option(min=1, help="Measure a sample of so many impressions.")
    ] = None,
    max_age_days: Annotated[
        float | None, typer.Option(help="Days that a log's article with a date stays live.")
    ] = None,
    max_errors: Annotated[int, typer.Option(min=0, help="Bad rows to leave out.")] = 0,
    own_weight: Annotated[
        float | None,
        typer.Option(min=0, help="Weight of own signals in S. Default: the service's own."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of users, sample and bootstrap.")] = 1,
    cache: Annotated[Path, typer.Option(help="Folder of the sentence encoder.")] = Path(
        ".cache/encoder"
    ),
    out: Annotated[
        Path | None, typer.Option(help="Report folder; a report in it is replaced.")
    ] = None,
) -> None:
    """Measure the queries of a student and of baselines, on simulated readers or a reading log.

    Give --articles (and --searches) for simulated readers, or --news and --behaviors for a log.
    Without --engine the baselines alone are measured.
    """
    # Loaded for this command alone: the others start without the model plane's numpy.
    from models.evaluation import run, sources

    source: Source
    if news is not None and behaviors is not None and not (articles or searches):
        source = sources.LogSource(news, behaviors, max_impressions, max_errors, max_age_days, seed)
    elif articles and news is None and behaviors is None:
        source = sources.SimulatedSource(
            tuple(articles), searches, split, mix, users, seed, max_errors, cache
        )
    else:
        raise InvalidInput(
            "give either --articles FILE and --searches FILE, or a log's --news FILE and "
            "--behaviors FILE",
            field="--articles, --news",
        )
    asked = run.contenders(student, engine or (), compare or (), into)
    who = asked[0].student.key if asked else "baselines"
    folder = out or _REPORTS / f"{who}-{source.name}"
    with _bars() as bars:

        def stage(what: str, total: int) -> Callable[[int], None]:
            task = bars.add_task(what, total=total or None)
            return lambda done: bars.advance(task, done)

        report, left_out = run.run_evaluation(
            source,
            asked,
            folder,
            seed=seed,
            own_weight=OWN_WEIGHT if own_weight is None else own_weight,
            stage=stage,
            api_key=engine_key,
        )
    _show(report)
    for note in left_out:
        typer.echo(f"left out: {note}", err=True)
    typer.echo(f"report: {folder}")


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def _show(report: Mapping[str, Any]) -> None:
    from models.evaluation.report.markdown import measures_of, shown, source_line, title

    measures = measures_of(report)
    table = Table("system", *measures, title=title(report), box=SIMPLE_HEAD)
    for one in report["systems"]:
        cells = [_short(one[name]) for name in measures]
        style = "bold" if one["student"] else ""
        table.add_row(f"{one['name']} ({one['reading']})", *cells, style=style)
    console = Console()
    console.print(table)
    for one in report["comparisons"]:
        if one["against"] == report["best_baseline"] and one["against_reading"] == "L":
            difference, ratio = (shown(one["recall@50"][name]) for name in ("difference", "ratio"))
            console.print(
                f"{one['system']} ({one['reading']}) against {one['against']}, the best baseline, "
                f"in Recall@50: difference {difference}, ratio {ratio}",
                markup=False,
            )
    console.print(source_line(report).replace("**", ""), markup=False)


def _short(interval: Mapping[str, float] | None) -> str:
    """A mean and its bounds in few columns: `0.097 .080–.114`."""
    if interval is None:
        return "–"
    low, high = (f"{interval[name]:.3f}".removeprefix("0") for name in ("low", "high"))
    return f"{interval['mean']:.3f} {low}–{high}"
