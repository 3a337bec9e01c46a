"""`interests people`: the readers that the project wrote, checked, and their articles to judge."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import orjson
import typer
from rich.console import Console

from models.people.agreement import graded_twice, kappa
from models.people.checking import (
    judgement_problems,
    near_problems,
    people_problems,
    query_problems,
    shares,
    thread_problems,
)
from models.people.reading import (
    HERE,
    people_file,
    qrels_file,
    read_people,
    read_qrels,
    read_threads,
    threads_file,
)
from models.people.records import JUDGED, SPLITS, Judgement, Split
from models.progress import bars, stages_of
from service.defaults import OWN_WEIGHT
from service.errors import InvalidInput

if TYPE_CHECKING:
    from service.encoding.onnx import OnnxModel

people = typer.Typer(no_args_is_help=True, help="The readers that the project wrote.")

_Articles = Annotated[
    list[str], typer.Option(help="The articles that they were written over; repeat for more files.")
]
_Folder = Annotated[Path, typer.Option(help="Folder of people and judgements.")]


@people.command("check")
def check_command(
    articles: _Articles,
    folder: _Folder = HERE,
    encoder: Annotated[
        Path | None,
        typer.Option(help="Folder of a built encoder: interests of two splits may not be near."),
    ] = None,
) -> None:
    """Check people and judgements: ids, dates, shares, leaks between splits, agreement."""
    from models.evaluation.people_run import load_articles

    model = None if encoder is None else _model(encoder)
    known = {article.id: article for article in load_articles(articles)}
    splits = {split: read_people(people_file(split, folder)) for split in SPLITS}
    problems = list(people_problems(splits, known))
    for split, read in splits.items():
        found = shares(read)
        typer.echo(
            f"{split}: {found.people} people, {found.interests} interests, {found.traces} signals; "
            f"{found.without_news:.0%} without a news click, {found.cold:.0%} cold, "
            f"{found.noise:.0%} noise"
        )
    threads = read_threads(path) if (path := threads_file(folder)).exists() else ()
    problems += thread_problems(threads, splits)
    if model is not None:
        problems += near_problems(splits, threads, lambda texts: model.encode(texts, "query"))
    typer.echo(
        f"threads: {len(threads):,}, {sum(len(thread.traces) for thread in threads):,} signals"
    )
    for split in JUDGED:
        first, again = _judged(split, folder), _judged(split, folder, again=True)
        problems += judgement_problems(split, splits[split], first, again, known)
        graded = [sum(one.grade == grade for one in first) for grade in (0, 1, 2)]
        typer.echo(
            f"{split}: {len(first):,} judgements: {graded[0]:,} × 0, {graded[1]:,} × 1, "
            f"{graded[2]:,} × 2"
        )
        _say_agreement(f"{split}: articles", first, again)
        first = _judged(split, folder, queries=True)
        again = _judged(split, folder, queries=True, again=True)
        problems += query_problems(split, splits[split], first)
        problems += query_problems(split, splits[split], again, again=True)
        _say_agreement(f"{split}: the editor's queries", first, again)
    for problem in problems:
        typer.echo(problem)
    if problems:
        more = f" ({len(problems):,} in all, listed on standard output)" if problems[1:] else ""
        raise InvalidInput(f"{problems[0]}{more}")
    typer.echo("nothing to mend")


def _say_agreement(what: str, first: Sequence[Judgement], again: Sequence[Judgement]) -> None:
    if pairs := graded_twice(first, again):
        same = sum(one == other for one, other in pairs) / len(pairs)
        typer.echo(
            f"{what}: {len(pairs):,} judged twice, {same:.0%} alike; kappa {kappa(pairs):.2f}, "
            f"weighted {kappa(pairs, weighted=True):.2f}"
        )


def _judged(
    split: Split, folder: Path, *, again: bool = False, queries: bool = False
) -> tuple[Judgement, ...]:
    path = qrels_file(split, folder, again=again, queries=queries)
    return read_qrels(path) if path.exists() else ()


def _model(folder: Path) -> OnnxModel:
    from service.encoding.manifest import load_encoder_manifest
    from service.encoding.onnx import OnnxModel

    return OnnxModel(load_encoder_manifest(folder), folder, threads=os.cpu_count() or 1)


@people.command("pool")
def pool_command(
    split: Annotated[Literal["tune", "test"], typer.Argument(help="Whose articles.")],
    articles: _Articles,
    encoder: Annotated[Path, typer.Option(help="Folder of a built encoder.")],
    folder: _Folder = HERE,
    compare: Annotated[
        list[str] | None,
        typer.Option(metavar="URL=STUDENT", help="A student whose lists are searched too; repeat."),
    ] = None,
    into: Annotated[
        Path, typer.Option(help="Folder that `interests students build` built into.")
    ] = Path(".local/students"),
) -> None:
    """Write what is to be judged: by person the first 30 of all systems, mixed, as JSON lines.

    What has been judged is left out, so a new student's finds can be added later.
    """
    from models.evaluation.people_run import load_people, people_pool
    from models.evaluation.run import contenders

    model = _model(encoder)
    judged = load_people(articles, split, folder)
    asked = contenders("", (), compare or (), into)
    with bars(Console(stderr=True)) as shown:
        rows = people_pool(
            judged,
            asked,
            _judged(split, folder),
            own_weight=OWN_WEIGHT,
            stage=stages_of(shown),
            encoder=model,
        )
        for row in rows:
            sys.stdout.write(orjson.dumps(row).decode() + "\n")
