"""Which own signals are searched: how many, and by what of their text.

    python -m models.studies.own_signals --encoder .local/encoders/all-minilm-l6-v2/1 \\
        --articles huffpost.jsonl.gz --searches queries.jsonl.gz

On simulated users of each mix, whose newest signals are searched alone. Printed is Recall@50 for
each number of signals, where meaning is given their telling words, as words are, and where it is
given their whole text; in brackets the difference to what is served, paired by user, with the half
width of its 95 % interval.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from models.evaluation.bench import Bench
from models.evaluation.measures import recall_at
from models.evaluation.sets import EvaluationUser
from models.evaluation.simulated_sets import simulated_set
from models.simulation.signal_texts import MIXES
from models.studies.arguments import add_world, world_of
from models.studies.script import run_script
from service.defaults import OWN_SIGNALS
from service.encoding.manifest import load_encoder_manifest
from service.encoding.onnx import OnnxModel
from service.generation.own import own_queries
from service.records import Run

COUNTS = (4, 8, OWN_SIGNALS, 20)
_FAR = 50

Encoded = Literal["telling words", "whole text"]
Way = tuple[int, Encoded]
"""How many signals, and what of them is encoded."""
SERVED: Way = (OWN_SIGNALS, "whole text")


def runs_of(bench: Bench, user: EvaluationUser, way: Way) -> list[Run]:
    """So many own signals, each by words and by meaning."""
    count, encoded = way
    queries = own_queries(user.signals, count, 1.0)
    if encoded == "telling words":
        queries = tuple([replace(query, said="") for query in queries])
    return [bench.search(user, query, bench.hits) for query in queries]


def measure_ways(bench: Bench, ways: Sequence[Way]) -> dict[Way, NDArray[np.float64]]:
    """Recall@50 of each user, by the way its signals are searched."""
    found: dict[Way, list[float]] = {way: [] for way in ways}
    for user in bench.data.users:
        for way in ways:
            ranked = bench.merged(user, runs_of(bench, user, way))
            found[way].append(recall_at(ranked.ids, user.relevant, _FAR))
    return {way: np.array(recalls) for way, recalls in found.items()}


def _cell(recalls: NDArray[np.float64], served: NDArray[np.float64]) -> str:
    gains = recalls - served
    half = 1.96 * gains.std() / len(gains) ** 0.5
    difference = f" ({gains.mean():+.4f} ± {half:.4f})" if gains.any() else ""
    return f"{recalls.mean():.4f}{difference}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, measure each mix, print the table."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("--encoder", type=Path, required=True, help="the one that searches")
    add_world(cli)
    cli.add_argument("--users", type=int, default=300, help="of each mix")
    cli.add_argument("--split", choices=("tune", "valid", "test"), default="tune")
    chosen = cli.parse_args(arguments)
    told, console = Console(stderr=True), Console(width=140)
    model = OnnxModel(load_encoder_manifest(chosen.encoder), chosen.encoder)
    world = world_of(chosen, told)
    kinds: tuple[Encoded, ...] = ("telling words", "whole text")
    ways = [(count, encoded) for count in COUNTS for encoded in kinds]
    sets = {
        name: simulated_set(world, chosen.split, mix, chosen.users) for name, mix in MIXES.items()
    }
    columns = []
    with Bench(next(iter(sets.values())), encoder=model) as bench:
        for name, data in sets.items():
            told.print(f"{name}: {len(data.users)} users")
            bench.turn_to(data)
            found = measure_ways(bench, ways)
            columns.append([_cell(found[way], found[SERVED]) for way in ways])
    table = Table("own signals", "encoded", *sets, title="Recall@50", box=SIMPLE_HEAD)
    for (count, encoded), *cells in zip(ways, *columns, strict=True):
        table.add_row(str(count), encoded, *cells)
    console.print(table)


if __name__ == "__main__":
    run_script(main)
