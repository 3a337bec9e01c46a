"""How many of the places should go to the queries in turn: the fusion's constant `diversity`.

    python -m models.studies.places --encoder .local/encoders/all-minilm-l6-v2/1 \\
        --articles huffpost.jsonl.gz --searches queries.jsonl.gz --topics reuters21578.jsonl.gz

On simulated users of each mix the heuristic's list is searched beside the own signals, as served
without an engine. Printed for each share: Recall at 10 and at 50, and how many of the user's
interests have an article among the first 10 and 50 that the user has not read. On newswire, whose
topics editors gave, each signal of a reader is a query (`models.studies.meaning_weight`): the share
of the first ten that is right, and how many of the three topics have an item among the first ten
and fifty. In brackets is the difference to the service's own value, paired by user, with the half
width of its 95 % interval.

Simulated users click what their interests and an article's appeal say, so finding more of one
strong interest counts for them as much as finding a little of each. Whether a list that tells of
more interests is the better one is for its maker to say: the last two columns are for that.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from models.evaluation.baselines import heuristic
from models.evaluation.bench import Bench
from models.evaluation.evaluate import as_served
from models.evaluation.measures import recall_at
from models.evaluation.simulated_sets import simulated_set
from models.simulation.signal_texts import MIXES, Mix
from models.simulation.users import simulate
from models.simulation.world import Split, World
from models.studies.arguments import add_world, world_of
from models.studies.meaning_weight import Reader, searched_readers
from models.studies.script import run_script
from service.encoding.manifest import load_encoder_manifest
from service.encoding.onnx import OnnxModel
from service.records import Run
from service.retrieval.fusion import FusionSettings, fuse

SHARES = (0.0, 0.1, 0.2, 0.33, 0.5)
_FIRST, _FAR = 10, 50

Rows = NDArray[np.float64]
"""(users, measures)."""


def covered(ids: Sequence[str], groups: Sequence[Collection[str]]) -> int:
    """How many of the groups have one of these ids."""
    return sum(any(id_ in group for id_ in ids) for group in groups)


def of_simulated(
    bench: Bench,
    interests: Sequence[Sequence[Collection[str]]],
    shares: Sequence[float] = SHARES,
) -> dict[float, Rows]:
    """By share and user of the bench: Recall@10 and @50, interests among the first 10 and 50.

    `interests` holds the ids of the articles of each interest of each user.
    """
    found: dict[float, list[list[float]]] = {share: [] for share in shares}
    served = bench.settings
    for user, groups in zip(bench.data.users, interests, strict=True):
        queries = as_served(bench, user, heuristic(user.signals))
        for share in shares:
            bench.settings = replace(served, diversity=share)
            ranked = bench.rank(user, queries).ids
            found[share].append(
                [
                    recall_at(ranked, user.relevant, _FIRST),
                    recall_at(ranked, user.relevant, _FAR),
                    covered(ranked[:_FIRST], groups),
                    covered(ranked[:_FAR], groups),
                ]
            )
    bench.settings = served
    return {share: np.array(rows) for share, rows in found.items()}


def interests_of(world: World, split: Split, mix: Mix, users: int) -> list[list[frozenset[str]]]:
    """The ids of the articles of each interest of each user of `simulated_set`."""
    ids = np.array([article.id for article in world.articles])
    return [
        [frozenset(ids[world.interest == interest]) for interest in user.interests]
        for user in simulate(world, split, mix, users)
    ]


def of_newswire(
    readers: Sequence[Reader],
    found: Sequence[tuple[Run, ...]],
    shares: Sequence[float] = SHARES,
) -> dict[float, Rows]:
    """By share: right of the first 10, topics among the first 10 and 50, of each reader."""

    def row(runs: tuple[Run, ...], reader: Reader, settings: FusionSettings) -> list[float]:
        listed = fuse(runs, limit=_FAR, now_ms=0, exclude=(), settings=settings)
        ids = [candidate.article.id for candidate in listed]
        right = reader.right
        return [
            sum(id_ in right for id_ in ids[:_FIRST]) / _FIRST,
            covered(ids[:_FIRST], reader.topics),
            covered(ids[:_FAR], reader.topics),
        ]

    by_share = {}
    for share in shares:
        settings = replace(FusionSettings(), diversity=share, category_share=1.0)
        rows = [row(*pair, settings) for pair in zip(found, readers, strict=True)]
        by_share[share] = np.array(rows)
    return by_share


def _table(title: str, names: Sequence[str], by_share: Mapping[float, Rows]) -> Table:
    table = Table("diversity", *names, title=title, box=SIMPLE_HEAD)
    served = by_share.get(FusionSettings().diversity)
    for share, rows in by_share.items():
        cells = [f"{mean:.4f}" for mean in rows.mean(axis=0)]
        if served is not None and rows is not served:
            gains = rows - served
            halves = 1.96 * gains.std(axis=0) / len(gains) ** 0.5
            cells = [
                f"{cell} ({gain:+.4f} ± {half:.4f})"
                for cell, gain, half in zip(cells, gains.mean(axis=0), halves, strict=True)
            ]
        table.add_row(f"{share:g}", *cells)
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, measure each ground, print its table as soon as it is done."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("--encoder", type=Path, required=True, help="the one that searches")
    add_world(cli)
    cli.add_argument("--topics", type=Path, required=True, help="with title, body and topics")
    cli.add_argument("--users", type=int, default=300, help="of each mix")
    cli.add_argument("--split", choices=("tune", "valid", "test"), default="tune")
    cli.add_argument("--mixes", choices=tuple(MIXES), nargs="+", default=tuple(MIXES))
    cli.add_argument("--shares", type=float, nargs="+", default=SHARES)
    chosen = cli.parse_args(arguments)
    told, console = Console(stderr=True), Console(width=140)

    readers, found = searched_readers(chosen.encoder, chosen.topics, 150, 6_000)
    names = ["right of 10", "topics in 10", "topics in 50"]
    by_share = of_newswire(readers, found, chosen.shares)
    console.print(_table(f"newswire, {len(readers)} readers of 3 topics", names, by_share))

    model = OnnxModel(load_encoder_manifest(chosen.encoder), chosen.encoder, threads=2)
    world = world_of(chosen, told)
    names = ["R@10", "R@50", "interests in 10", "interests in 50"]
    sets = {
        name: simulated_set(world, chosen.split, MIXES[name], chosen.users) for name in chosen.mixes
    }
    with Bench(next(iter(sets.values())), encoder=model) as bench:
        for name, data in sets.items():
            bench.turn_to(data)
            interests = interests_of(world, chosen.split, MIXES[name], chosen.users)
            by_share = of_simulated(bench, interests, chosen.shares)
            title = f"{name} mix, {chosen.users} {chosen.split} users"
            console.print(_table(title, names, by_share))


if __name__ == "__main__":
    run_script(main)
