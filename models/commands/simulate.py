"""`interests simulate`: write a simulated reading log."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from models.progress import bars, stages_of
from models.simulation.encoder import CACHE, WORLD_ENCODER
from service.rows import BadRows


def simulate(
    articles: Annotated[list[str], typer.Option(help="Articles with dates; repeat for more.")],
    out: Annotated[Path, typer.Option(help="Folder for news.tsv and behaviors.tsv.")],
    searches: Annotated[
        str | None,
        typer.Option(help="JSON lines with query; of those with a source `nq` alone is used."),
    ] = None,
    split: Annotated[
        Literal["train", "valid", "test"], typer.Option(help="Whose interests and time.")
    ] = "test",
    mix: Annotated[
        Literal["hard", "easy", "clicks"], typer.Option(help="How hard signals are.")
    ] = "hard",
    users: Annotated[int, typer.Option(min=1, help="Readers.")] = 300,
    impressions: Annotated[int, typer.Option(min=1, help="Rows.")] = 3_000,
    seed: Annotated[int, typer.Option(help="Of everything drawn.")] = 1,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a log that is there.")] = (
        False
    ),
    world_encoder: Annotated[
        Path,
        typer.Option(
            help="Folder of the built encoder that makes the world.",
            show_default="e5-small-v2's",
        ),
    ] = WORLD_ENCODER,
    cache: Annotated[Path, typer.Option(help="Folder of that encoder's vectors.")] = CACHE,
) -> None:
    """Write a simulated reading log in the format of MIND, with a popularity process."""
    from models.mind.writing import write_mind
    from models.simulation.files import WatchedEncoder, open_world
    from models.simulation.reading_log import simulate_log
    from models.simulation.signal_texts import MIXES

    with bars(Console(stderr=True)) as shown:
        stage = stages_of(shown)
        encoder = WatchedEncoder(world_encoder, cache, stage)
        world = open_world(articles, searches, encoder, BadRows(0))
        tell = stage("impressions", impressions)
        rows = []
        for row in simulate_log(
            world, split, MIXES[mix], users=users, impressions=impressions, seed=seed
        ):
            rows.append(row)
            tell(1)
        write_mind(out, world.articles, rows, replace=replace)
    clicks = sum(clicked for row in rows for _, clicked in row.shown)
    sys.stdout.write(f"{out}: {len(rows):,} impressions, {clicks:,} clicks\n")
