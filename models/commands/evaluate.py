"""`interests evaluate`: how good a student's queries are, beside baselines."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from models.evaluation.people_run import run_people
from models.evaluation.report.people import print_people
from models.evaluation.report.terminal import print_report
from models.evaluation.run import Contender, contenders, run_evaluation
from models.evaluation.sources import DemoSource, LogSource, SimulatedSource, Source
from models.packaging.registry import DEFAULT_STUDENT
from models.people.reading import HERE
from models.progress import bars, stages_of
from models.simulation.encoder import CACHE, WORLD_ENCODER, load_world_encoder
from service.defaults import OWN_WEIGHT
from service.encoding.manifest import load_encoder_manifest
from service.encoding.onnx import OnnxModel
from service.errors import InvalidInput

_REPORTS = Path(".local/evaluation")

# Who is evaluated, and at which engines.
_Student = Annotated[str, typer.Option(help="`name`, `name@version`, or a built student's folder.")]
_Engine = Annotated[
    list[str] | None,
    typer.Option(help="URL of an engine that serves the student; repeat it to share the users."),
]
_Compare = Annotated[
    list[str] | None,
    typer.Option(metavar="URL=STUDENT", help="A further student, at its own engine."),
]
_Into = Annotated[Path, typer.Option(help="Folder that `interests students build` built into.")]
_EngineKey = Annotated[str | None, typer.Option(envvar="VLLM_API_KEY", help="The engines' key.")]

# On simulated readers.
_Articles = Annotated[
    list[str] | None,
    typer.Option(help="Articles with dates to simulate readers from; repeat for more files."),
]
_Searches = Annotated[
    str | None,
    typer.Option(help="JSON lines with query; of those with a source `nq` alone is used."),
]
_Split = Annotated[
    Literal["tune", "valid", "test"],
    typer.Option(help="Whose interests and time; tune: valid's interests in training's time."),
]
_Mix = Annotated[Literal["hard", "easy", "clicks"], typer.Option(help="How hard signals are.")]
_Users = Annotated[int, typer.Option(min=1, help="How many simulated users.")]
_WorldEncoder = Annotated[
    Path,
    typer.Option(
        help="Folder of the built encoder that makes the simulated world.",
        show_default="e5-small-v2's",
    ),
]
_Cache = Annotated[Path, typer.Option(help="Folder of that encoder's vectors.")]

# On people.
_People = Annotated[
    Literal["tune", "test"] | None,
    typer.Option(help="Readers that the project wrote, of a split whose articles are judged."),
]

_Demo = Annotated[
    bool, typer.Option("--demo", help="Simulate the demo's invented readers and newspaper.")
]

# On a reading log.
_News = Annotated[
    str | None, typer.Option(help="A log's articles: news.tsv of MIND, JSON lines, or Parquet.")
]
_Behaviors = Annotated[
    str | None,
    typer.Option(help="A log's impressions: MIND's behaviors.tsv, EB-NeRD's behaviors.parquet."),
]
_History = Annotated[
    str | None, typer.Option(help="What was read before, of a log in Parquet: history.parquet.")
]
_MaxImpressions = Annotated[
    int | None, typer.Option(min=1, help="Measure a sample of so many impressions.")
]
_MaxAgeDays = Annotated[
    float | None, typer.Option(help="Days that a log's article with a date stays live.")
]

# How it is measured, and where the report goes.
_MaxErrors = Annotated[int, typer.Option(min=0, help="Bad rows to leave out.")]
_OwnWeight = Annotated[
    float | None,
    typer.Option(min=0, help="Weight of own signals in S. Default: the service's own."),
]
_Encoder = Annotated[
    Path | None,
    typer.Option(help="Folder of a built encoder: queries are searched by meaning too."),
]
_Seed = Annotated[int, typer.Option(help="Of users, sample and bootstrap.")]
_Out = Annotated[Path | None, typer.Option(help="Report folder; a report in it is replaced.")]


def evaluate(
    student: _Student = DEFAULT_STUDENT,
    engine: _Engine = None,
    compare: _Compare = None,
    into: _Into = Path(".local/students"),
    engine_key: _EngineKey = None,
    articles: _Articles = None,
    searches: _Searches = None,
    split: _Split = "test",
    mix: _Mix = "hard",
    users: _Users = 300,
    news: _News = None,
    behaviors: _Behaviors = None,
    history: _History = None,
    max_impressions: _MaxImpressions = None,
    max_age_days: _MaxAgeDays = None,
    max_errors: _MaxErrors = 0,
    own_weight: _OwnWeight = None,
    encoder: _Encoder = None,
    seed: _Seed = 1,
    world_encoder: _WorldEncoder = WORLD_ENCODER,
    cache: _Cache = CACHE,
    demo: _Demo = False,
    people: _People = None,
    out: _Out = None,
) -> None:
    """Measure the queries of a student and of baselines, on simulated readers or a reading log.

    Give --articles (and --searches) for simulated readers, --people and --articles for readers
    that the project wrote, --demo for those of the demo, or --news and --behaviors for a log.
    Without --engine the baselines alone are measured.
    """
    _require_one_source(articles, searches, news, behaviors, history, demo=demo, people=people)
    asked = contenders(student, engine or (), compare or (), into)
    weight = OWN_WEIGHT if own_weight is None else own_weight
    if people is not None:
        who = asked[0].student.key if asked else "baselines"
        folder = out or _REPORTS / f"{who}-people-{people}"
        _run(
            partial(
                run_people,
                tuple(articles or ()),
                people,
                HERE,
                asked,
                folder,
                seed=seed,
                own_weight=weight,
                api_key=engine_key,
                encoder=_encoder_model(encoder, None),
            ),
            print_people,
            folder,
        )
        return
    source: Source
    if demo:
        source = DemoSource(users, seed)
    elif news is not None and behaviors is not None:
        source = LogSource(
            news, behaviors, history, max_impressions, max_errors, max_age_days, seed
        )
    else:
        read = tuple(articles or ())
        source = SimulatedSource(
            read, searches, split, mix, users, seed, max_errors, world_encoder, cache
        )
    model = _encoder_model(encoder, world_encoder if articles else None)
    folder = out or _usual_folder(asked, source)
    _run(
        partial(
            run_evaluation,
            source,
            asked,
            folder,
            seed=seed,
            own_weight=weight,
            api_key=engine_key,
            encoder=model,
        ),
        print_report,
        folder,
    )


def _encoder_model(folder: Path | None, world_encoder: Path | None) -> OnnxModel | None:
    """The encoder to search with. Raises `InvalidInput` for the one that makes the users."""
    if folder is None:
        return None
    manifest = load_encoder_manifest(folder)
    if world_encoder and manifest.name == load_world_encoder(world_encoder).name:
        raise InvalidInput(
            f"{manifest.name} makes the simulated users, so it would find what it made; search "
            "with another encoder, or give another --world-encoder",
            field="--encoder",
        )
    return OnnxModel(manifest, folder, threads=os.cpu_count() or 1)


def _require_one_source(
    articles: list[str] | None,
    searches: str | None,
    news: str | None,
    behaviors: str | None,
    history: str | None,
    *,
    demo: bool,
    people: str | None,
) -> None:
    """Raise `InvalidInput` unless what was named is all of one kind of users."""
    of_log = news is not None and behaviors is not None
    of_articles = bool(articles or searches)
    nothing_of_log = news is None and behaviors is None and history is None
    log = of_log and not (of_articles or demo)
    simulated = bool(articles) and nothing_of_log and not demo
    if people is not None and not (simulated and searches is None):
        raise InvalidInput(
            "--people takes --articles FILE, the articles that the people were written over, and "
            "no other source",
            field="--people",
        )
    invented = demo and nothing_of_log and not of_articles
    if not (log or simulated or invented):
        raise InvalidInput(
            "give either --articles FILE and --searches FILE, or --demo, or a log's --news FILE "
            "and --behaviors FILE",
            field="--articles, --demo, --news",
        )


def _usual_folder(asked: list[Contender], source: Source) -> Path:
    """Where a report goes unless it is told: named after the first student and the users."""
    who = asked[0].student.key if asked else "baselines"
    return _REPORTS / f"{who}-{source.name}"


def _run(
    measure: Callable[..., tuple[dict[str, Any], list[str]]],
    show: Callable[[Mapping[str, Any], Console], None],
    folder: Path,
) -> None:
    """Measure with bars that show how far it is, then show the report and say where it lies."""
    with bars(Console(stderr=True)) as shown:
        report, left_out = measure(stage=stages_of(shown))
    show(report, Console())
    for note in left_out:
        typer.echo(f"left out: {note}", err=True)
    typer.echo(f"report: {folder}")
