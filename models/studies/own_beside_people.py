"""How many own signals a list of words wants beside it, and at which weight, on tune people.

    python -m models.studies.own_beside_people REPORT/lists.jsonl interests-small@10 \\
        --articles huffpost.jsonl.gz --encoder .local/encoders/all-minilm-l6-v2/1

The lists are those that `interests evaluate --people tune` left in its report's folder. Printed is
nDCG@20 at each number of signals and weight, with its paired difference to the list alone, then the
same for people without a news click. A line that names a signal is read as words that were written.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from models.evaluation.bench import Bench
from models.evaluation.evaluate import Lists, as_served
from models.evaluation.intervals import paired_difference
from models.evaluation.measures import graded_ndcg_at
from models.evaluation.people_run import load_people
from models.evaluation.people_sets import JudgedPeople
from models.people.checking import without_news
from models.people.reading import HERE
from models.studies.script import run_script
from models.studies.written_lists import lists_of, read_written
from service.defaults import MAX_QUERIES, OWN_SIGNALS, OWN_WEIGHT
from service.encoding.manifest import load_encoder_manifest
from service.encoding.onnx import OnnxModel
from service.errors import InvalidInput
from service.records import Query
from service.retrieval.fusion import FusionSettings

COUNTS = (0, 2, 4, 8, OWN_SIGNALS)
WEIGHTS = (0.1, 0.2, 0.4, OWN_WEIGHT)
_DEPTH = 20

Floats = NDArray[np.float64]
Way = tuple[int, float]
"""How many own signals, and what each weighs where a query of the list weighs 1."""


def ways(counts: Sequence[int], weights: Sequence[float]) -> Iterator[Way]:
    """The list alone, then each number of signals at each weight."""
    yield 0, 0.0
    yield from ((count, weight) for count in counts if count for weight in weights)


def measure(
    bench: Bench, judged: JudgedPeople, lists: Lists, tried: Sequence[Way]
) -> dict[Way, Floats]:
    """nDCG@20 of each person for whom something is relevant, by way."""
    found: dict[Way, list[float]] = {way: [] for way in tried}
    for user in judged.data.users:
        if not user.relevant:
            continue
        for way in tried:
            bench.own_signals, bench.own_weight = way
            ranked = bench.rank(user, as_served(bench, user, lists.get(user.id, ())))
            grades = judged.grades[user.id].of
            found[way].append(graded_ndcg_at(ranked.ids, grades, _DEPTH))
    return {way: np.array(values) for way, values in found.items()}


def _tables(judged: JudgedPeople, found: dict[Way, Floats]) -> Iterator[Table]:
    people = [judged.people[user.id] for user in judged.data.users if user.relevant]
    alone = found[0, 0.0]
    among = {
        "everybody": np.ones(len(people), bool),
        "no news click": np.array([without_news(person) for person in people]),
    }
    for name, who in among.items():
        if not who.any():
            continue
        weights = list(dict.fromkeys(weight for _, weight in found if weight))
        title = f"nDCG@20, {name} ({who.sum()}); the list alone: {alone[who].mean():.4f}"
        table = Table(
            "own signals", *(f"weight {one:g}" for one in weights), title=title, box=SIMPLE_HEAD
        )
        for count in dict.fromkeys(count for count, _ in found if count):
            cells = []
            for weight in weights:
                values = found[count, weight][who]
                gain = paired_difference(list(values), list(alone[who]), seed=1)
                cells.append(
                    f"{values.mean():.4f} ({gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}])"
                )
            table.add_row(str(count), *cells)
        yield table


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, measure, print."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("lists", type=Path, help="lists.jsonl of an evaluation on tune people")
    cli.add_argument("system", help="whose lists, as the report names it")
    cli.add_argument("--articles", required=True)
    cli.add_argument("--encoder", type=Path, required=True, help="the one that searches")
    cli.add_argument("--people", type=Path, default=HERE, help="folder of people and judgements")
    cli.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    cli.add_argument("--weights", type=float, nargs="+", default=WEIGHTS)
    chosen = cli.parse_args(arguments)
    texts = lists_of(read_written(chosen.lists), chosen.system, chosen.lists)
    lists = {person: tuple(map(Query, written[:MAX_QUERIES])) for person, written in texts.items()}
    judged = load_people([chosen.articles], "tune", chosen.people)
    if strangers := lists.keys() - judged.people.keys():
        raise InvalidInput(
            f"{chosen.lists}: {min(strangers)} is no tune person; give the lists of an evaluation "
            "with --people tune",
            field="lists",
        )
    model = OnnxModel(load_encoder_manifest(chosen.encoder), chosen.encoder)
    settings = replace(FusionSettings(), freshness_weight=0.0)
    Console(stderr=True).print(f"{len(judged.data.articles):,} articles are indexed and encoded")
    with Bench(judged.data, settings=settings, encoder=model) as bench:
        found = measure(bench, judged, lists, list(ways(chosen.counts, chosen.weights)))
    console = Console(width=150)
    for table in _tables(judged, found):
        console.print(table)


if __name__ == "__main__":
    run_script(main)
