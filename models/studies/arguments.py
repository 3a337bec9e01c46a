"""What scripts about simulated users have in common, whether they ask a running engine or not."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from models.progress import Progress, untold
from models.simulation.encoder import CACHE, WORLD_ENCODER
from models.simulation.files import WatchedEncoder, open_world
from models.simulation.world import World
from service.rows import BadRows


def asking_parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the engine, its student, and the files that users are simulated from."""
    cli = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    cli.add_argument("url", help="a running engine that serves the student")
    cli.add_argument("student", help="name, name@version, or a built student's folder")
    cli.add_argument("--into", type=Path, default=Path(".local/students"))
    add_world(cli)
    return cli


def add_world(cli: argparse.ArgumentParser) -> None:
    """The files that users are simulated from."""
    cli.add_argument("--articles", required=True)
    cli.add_argument("--searches", required=True)
    cli.add_argument("--world-encoder", type=Path, default=WORLD_ENCODER)
    cli.add_argument("--cache", type=Path, default=CACHE)


def world_of(chosen: argparse.Namespace, console: Console) -> World:
    """The world of the files that were named, each call of its encoder said on the console."""

    def stage(what: str, steps: int) -> Progress:
        console.print(f"{what}: {steps:,}")
        return untold

    encoder = WatchedEncoder(chosen.world_encoder, chosen.cache, stage)
    return open_world([chosen.articles], chosen.searches, encoder, BadRows(0))
