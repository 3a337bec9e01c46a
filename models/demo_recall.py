"""Compare templates of a student by what their queries find for the demo's users.

    python -m models.demo_recall http://127.0.0.1:8001 .local/students/smollm2-base/1 \\
        --index .local/index/news [--penalty 1.0] [TEMPLATE.yaml ...]

Each demo user follows a few story lines (deploy/demo/personas.yaml), and an article's id names its
story. The figure is the share of the first 20 candidates that belong to a story the user follows:
for the list alone (L), for the list with the own signals as served (S), and for the baselines
without a model. The users are made up, their interests are known, and nobody clicked anything: the
figure tells templates apart and says nothing about real readers.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from deploy.demo.users import DemoUser, demo_users, followed_stories
from models.ask_engine import complete, load_student, read_answer
from models.script import run_script
from service.generation.heuristic import heuristic_queries
from service.generation.own import own_queries
from service.records import Filters, Query, Run
from service.retrieval.fusion import FusionSettings, fuse
from service.retrieval.tantivy import TantivyIndex
from service.signals.prompt import load_template

FIRST = 20
HITS = 50
OWN = 12


class Finder:
    """Searches and fuses as the service does, and marks the result."""

    def __init__(self, index: TantivyIndex, follows: dict[str, frozenset[str]]) -> None:
        self._index = index
        self._follows = follows

    async def share(self, queries: Sequence[Query], user: DemoUser) -> float:
        """Share of the first candidates that belong to the user's stories; 0 without queries."""
        if not queries:
            return 0.0
        until = asyncio.get_running_loop().time() + 10
        answer = await self._index.search([one.text for one in queries], HITS, Filters(), until)
        candidates = fuse(
            [Run(query, hits or ()) for query, hits in zip(queries, answer.hits, strict=True)],
            limit=FIRST,
            now_ms=int(time.time() * 1000),
            exclude={one.item for one in user.signals if one.item},
            settings=FusionSettings(),
        )
        stories = self._follows[user.user_id]
        return sum(one.hit.id.rpartition("-")[0] in stories for one in candidates) / FIRST


async def compare(arguments: argparse.Namespace) -> Table:
    """The table: a row for each baseline and each template."""
    student = load_student(str(arguments.student), Path())
    decoding = replace(student.manifest.spec().decoding, n=1, repetition_penalty=arguments.penalty)
    follows = followed_stories()
    users = [one for one in demo_users() if len(one.signals) >= 5 and follows.get(one.user_id)]
    index = TantivyIndex(arguments.index)
    finder = Finder(index, follows)

    def own(user: DemoUser) -> tuple[Query, ...]:
        return own_queries(user.signals, OWN, 1.0)

    async def mean(lists: Sequence[Sequence[Query]]) -> str:
        shares = [await finder.share(one, user) for one, user in zip(lists, users, strict=True)]
        return f"{statistics.mean(shares):.3f}"

    table = Table(
        title=f"{len(users)} demo users, share of the first {FIRST}, penalty {arguments.penalty:g}",
        title_justify="left",
    )
    for column in ("queries from", "how many", "alone (L)", "with own signals (S)"):
        table.add_column(column)
    table.add_row(f"the newest {OWN} signals", "", await mean([own(one) for one in users]), "")
    phrases = [heuristic_queries(one.signals, 8) for one in users]
    table.add_row("the heuristic", "", await mean(phrases), "")
    for path in arguments.templates or [arguments.student / student.manifest.template.file]:
        asked = replace(student, template=load_template(path))
        prompts = [asked.prompt(one.signals) for one in users]
        with Progress(console=Console(stderr=True)) as bars:
            task = bars.add_task(str(path), total=len(users))
            done = await complete(
                [arguments.url],
                asked.key,
                [prompt.token_ids for prompt in prompts],
                decoding,
                at_once=1,
                progress=partial(bars.advance, task),
            )
        lists = [
            read_answer(one, prompt, 8) for (one, _), prompt in zip(done, prompts, strict=True)
        ]
        served = [(*one, *own(user)) for one, user in zip(lists, users, strict=True)]
        many = f"{statistics.mean(map(len, lists)):.1f}"
        table.add_row(str(path), many, await mean(lists), await mean(served))
    await index.close()
    return table


def main() -> None:
    """Read the arguments, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url", help="a running engine that serves the student")
    parser.add_argument("student", type=Path, help="the built student's folder")
    parser.add_argument("--index", type=Path, required=True, help="an index of the demo articles")
    parser.add_argument("--penalty", type=float, default=1.0, help="repetition penalty")
    parser.add_argument("templates", type=Path, nargs="*", help="the student's own when none")
    Console().print(asyncio.run(compare(parser.parse_args())))


if __name__ == "__main__":
    run_script(main)
