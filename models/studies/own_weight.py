"""Which weight the own signals should have beside a student's list, on users that tune it.

    .venv-train/bin/python -m models.studies.own_weight http://127.0.0.1:8001 interests-small \\
        --articles huffpost.jsonl.gz --searches queries.jsonl.gz

Asks the engine for the lists of users of each mix (split "tune": no interest of the training's and
none of the test's) and prints Recall@50 of S at each weight, with its paired difference to the own
signals alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from models.engine.asking import ask_for_lists, check_engines, load_student
from models.evaluation.bench import Bench
from models.evaluation.evaluate import Lists, evaluate_lists
from models.evaluation.intervals import Interval, paired_difference
from models.evaluation.sets import EvaluationSet
from models.evaluation.simulated_sets import simulated_set
from models.simulation.signal_texts import MIXES
from models.studies.arguments import asking_parser, world_of
from models.studies.script import run_script
from service.defaults import OWN_WEIGHT

WEIGHTS = (0.25, 0.5, OWN_WEIGHT, 1.0, 1.5, 2.0, 3.0)


def weigh(
    data: EvaluationSet, lists: Lists, weights: Sequence[float]
) -> tuple[float, dict[float, tuple[float, Interval]]]:
    """Recall@50 of the own signals alone, and of S by weight with the difference to it."""
    with Bench(data) as bench:
        alone = evaluate_lists(bench, {}, ("S",))["S"]["recall@50"]
        found = {}
        for weight in weights:
            bench.own_weight = weight
            beside = evaluate_lists(bench, lists, ("S",))["S"]["recall@50"]
            gain = paired_difference(list(beside), list(alone), seed=1)
            found[weight] = (float(beside.mean()), gain)
    return float(alone.mean()), found


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, ask, measure, print."""
    cli = asking_parser(__doc__)
    cli.add_argument("--users", type=int, default=250, help="of each mix")
    cli.add_argument("--weights", type=float, nargs="+", default=WEIGHTS)
    chosen = cli.parse_args(arguments)
    console = Console(stderr=True)

    student = load_student(chosen.student, chosen.into)
    asyncio.run(check_engines([chosen.url], student.key))
    world = world_of(chosen, console)
    columns: list[list[str]] = []
    means = []
    for name, mix in MIXES.items():
        data = simulated_set(world, "tune", mix, chosen.users)
        console.print(f"{name}: the engine writes {len(data.users):,} lists")
        users = {user.id: user.signals for user in data.users}
        answers = asyncio.run(ask_for_lists([chosen.url], student, users))
        lists = {name: answer.queries for name, answer in answers.items()}
        alone, found = weigh(data, lists, chosen.weights)
        columns.append(
            [f"{alone:.4f}"]
            + [
                f"{mean:.4f}, {gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
                for mean, gain in found.values()
            ]
        )
        means.append([alone, *(mean for mean, _ in found.values())])
    columns.append([f"{mean:.4f}" for mean in np.mean(means, axis=0)])
    table = Table("own weight", *MIXES, "mean", box=SIMPLE_HEAD)
    rows = ["own signals alone", *(f"{weight:g}" for weight in chosen.weights)]
    for row in zip(rows, *columns, strict=True):
        table.add_row(*row)
    Console(width=150).print(table)


if __name__ == "__main__":
    run_script(main)
