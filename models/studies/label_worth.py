"""What lists of references are worth that a student could be taught, and rules without a student.

    .venv-train/bin/python -m models.studies.label_worth \\
        models/students/interests-small/9/training.yaml \\
        --articles huffpost.jsonl.gz --searches queries.jsonl.gz

For each configuration: Recall@50 of the lists that the training would teach, over users that tune
(split "tune"), alone (L) and as served (S), with the paired difference of S to the own signals
alone and to as many own signals as S searches queries. So it says what a student would find that
had learned its lists to the letter. Needs no engine.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from models.evaluation.bench import Bench
from models.evaluation.evaluate import Lists, Measured, evaluate_lists
from models.evaluation.intervals import paired_difference
from models.evaluation.sets import EvaluationSet
from models.evaluation.simulated_sets import simulated_set
from models.evaluation.systems import own_as_many
from models.simulation.signal_texts import MIXES
from models.simulation.users import SimulatedUser
from models.studies.arguments import add_world, world_of
from models.studies.script import run_script
from models.training.sft.config import load_config
from models.training.sft.reference_labels import ReferenceForm, reference_label
from service.defaults import MAX_QUERIES, OWN_WEIGHT
from service.generation.queries import parse
from service.records import Query, Signal

Rule = Callable[[SimulatedUser, Sequence[Signal]], Sequence[str]]
"""The lines of a list, for a user whose prompt shows these signals."""


def _newest(_: SimulatedUser, shown: Sequence[Signal]) -> list[str]:
    return [f"#{number}" for number in range(len(shown), 0, -1)]


def _headlines(_: SimulatedUser, shown: Sequence[Signal]) -> list[str]:
    return [f"#{n}" for n in range(len(shown), 0, -1) if shown[n - 1].domain == "news"]


def _headlines_first(user: SimulatedUser, shown: Sequence[Signal]) -> list[str]:
    return list(dict.fromkeys((*_headlines(user, shown), *_newest(user, shown))))


RULES: Mapping[str, Rule] = {
    "the newest": _newest,
    "headlines, then others": _headlines_first,
    "headlines alone": _headlines,
}
"""What needs no student."""


def taught(form: ReferenceForm) -> Rule:
    """The lists that a training with this label teaches."""
    return lambda user, shown: reference_label(user, shown, form)


def lists_of(data: EvaluationSet, rule: Rule, most_shown: int) -> Lists:
    """A rule's lists for simulated users, each out of the user's newest `most_shown` signals."""
    lists: dict[str, Sequence[Query]] = {}
    for user in data.users:
        shown = user.signals[-most_shown:]
        simulated = SimulatedUser(user.id, user.now_ms, user.signals, user.sources, (), ())
        if lines := rule(simulated, shown):
            written = "\n".join(lines)
            lists[user.id] = parse(written, shown, finished=True, max_queries=MAX_QUERIES)
    return lists


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, make the lists, measure, print a table for each mix."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("configs", type=Path, nargs="*", help="configurations of trainings")
    add_world(cli)
    cli.add_argument("--users", type=int, default=600, help="of each mix")
    cli.add_argument("--shown", type=int, default=24, help="signals that a prompt shows")
    cli.add_argument("--own-weight", type=float, default=OWN_WEIGHT)
    chosen = cli.parse_args(arguments)
    console = Console(stderr=True)
    rules = dict(RULES)
    for path in chosen.configs:
        config = load_config(path)
        if config.label is None:
            cli.error(f"{path}: label is missing: this student is taught by people alone")
        rules[f"label of {config.student}"] = taught(config.label)
    world = world_of(chosen, console)
    out = Console(width=150)
    for name, mix in MIXES.items():
        data = simulated_set(world, "tune", mix, chosen.users)
        title = f"{name}, {len(data.users):,} users"
        out.print(_table(title, data, rules, chosen.shown, chosen.own_weight))


def _table(
    title: str,
    data: EvaluationSet,
    rules: Mapping[str, Rule],
    most_shown: int,
    own_weight: float,
) -> Table:
    table = Table("list", "queries", "L", "S", "S less own signals", "less as many", title=title)
    table.box = SIMPLE_HEAD
    with Bench(data, own_weight=own_weight) as bench:
        own = evaluate_lists(bench, {}, ("S",))["S"]
        table.add_row("own signals alone", "", "", f"{own['recall@50'].mean():.4f}", "", "")
        for name, rule in rules.items():
            lists = lists_of(data, rule, most_shown)
            found = evaluate_lists(bench, lists, ("L", "S"))
            as_many = evaluate_lists(bench, own_as_many(bench, lists), ("L",), most=None)["L"]
            table.add_row(
                name,
                f"{sum(map(len, lists.values())) / len(data.users):.1f}",
                f"{found['L']['recall@50'].mean():.4f}",
                f"{found['S']['recall@50'].mean():.4f}",
                _gain(found["S"], own),
                _gain(found["S"], as_many),
            )
    return table


def _gain(found: Measured, other: Measured) -> str:
    gain = paired_difference(list(found["recall@50"]), list(other["recall@50"]), seed=1)
    return f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"


if __name__ == "__main__":
    run_script(main)
