"""Show what a student writes, not the best of it: three times twenty users by a stated rule.

    .venv-train/bin/python -m models.studies.show_lists http://127.0.0.1:8001 interests-small \\
        --articles huffpost.jsonl.gz --searches queries.jsonl.gz > lists.md

The twenty made-up readers of `models/studies/readers.yaml` (typed by hand), the first twenty demo
users in the order of their names that have three signals or more, and the first twenty simulated
users of the test split, hard mix, seed 1. Prints Markdown for the student's card, and of the last
two how many queries took up a word that nothing but noise says.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from rich.console import Console

from models.demo.material import load_noise
from models.demo.users import demo_users
from models.engine.asking import AskedStudent, ask_for_lists, load_student
from models.evaluation.report.lists import origin_figures
from models.simulation.signal_texts import MIXES
from models.simulation.users import simulate
from models.studies.arguments import asking_parser, world_of
from models.studies.script import run_script
from models.studies.templates import load_readers
from service.records import Signal

MANY = 20
_LEAST = 3
_SHOWN, _LONGEST = 6, 120
"""Newest signals printed of each user, and characters of each; the student sees more signals."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A user's signals, oldest first, and the interest behind each (None: noise), where known."""

    signals: Sequence[Signal]
    sources: Sequence[int | None] | None = None


Groups = Mapping[str, Mapping[str, Shown]]


def chosen_users(arguments: argparse.Namespace) -> Groups:
    """Users by heading, by the stated rule."""
    console = Console(stderr=True)

    demo = sorted(demo_users(), key=lambda user: user.user_id)
    world = world_of(arguments, console)
    held_out = simulate(world, "test", MIXES["hard"], MANY)
    errands = {text for texts in load_noise().values() for text in texts}
    return {
        "Signals typed by hand": {
            f"reader {i}": Shown(signals) for i, signals in enumerate(load_readers(), start=1)
        },
        "Demo users": {
            user.user_id: Shown(
                user.signals, [None if signal.text in errands else 0 for signal in user.signals]
            )
            for user in islice((user for user in demo if len(user.signals) >= _LEAST), MANY)
        },
        "Held-out simulated users": {
            user.id: Shown(user.signals, user.sources) for user in held_out
        },
    }


async def show(url: str, student: AskedStudent, groups: Groups) -> str:
    """The Markdown: of each user the newest signals and every query."""
    lines: list[str] = []
    for heading, users in groups.items():
        signals = {name: user.signals for name, user in users.items()}
        answers = await ask_for_lists([url], student, signals)
        lists = {name: answer.queries for name, answer in answers.items()}
        sources = {name: user.sources for name, user in users.items() if user.sources is not None}
        lines += [f"### {heading}", ""]
        if len(sources) == len(users):
            share = origin_figures(signals, sources, lists)["noise"]
            many = sum(map(len, lists.values()))
            lines += [
                f"{round(share * many)} of {many} queries have a word that nothing but noise says.",
                "",
            ]
        lines.append("| user | newest signals | queries |")
        lines.append("| --- | --- | --- |")
        for name, shown in signals.items():
            newest = shown[-_SHOWN:]
            said = "; ".join(f"{signal.domain}: {_short(signal.text)}" for signal in newest)
            written = "<br>".join(query.text for query in lists.get(name, ())) or "*none*"
            lines.append(f"| {name} | {_cell(said)} | {_cell(written)} |")
        lines.append("")
    return "\n".join(lines)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} …"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Read the arguments, ask, print."""
    cli = asking_parser(__doc__)
    arguments = cli.parse_args()
    student = load_student(arguments.student, arguments.into)
    groups = chosen_users(arguments)
    sys.stdout.write(asyncio.run(show(arguments.url, student, groups)) + "\n")


if __name__ == "__main__":
    run_script(main)
