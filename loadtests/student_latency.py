"""What makes a student quick, one thing at a time, on a real engine.

    .venv-engine/bin/python -m loadtests.student_latency interests-small

Starts the engine as shipped, then with one thing changed at a time (another dtype, no prompt-lookup
speculation, the whole vocabulary), and asks for the same demo users' lists: one at a time, then
eight at once. Every variant runs twice, in turn, since machines are noisy; the medians of all its
answers are shown, and what a written token costs: the slope of the time of a list, asked for alone,
over the tokens in it. Runs in the engine environment, which has the packaged base. Loopback only.

A student that writes references (`#3`) has one more row: as many tokens as the words would take
that its list stands for, without speculation, since what it would guess of words that this student
does not write cannot be known. It compares with the row without speculation, whose engine it asks
once more: its prompts are in the prefix cache then, so the words cost somewhat more than it says.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from deploy.local.processes import Children, free_port
from models.demo.users import demo_users
from models.engine.asking import TIMEOUT_S, Answer, AskedStudent, ask_for_lists, load_student
from models.engine.command import dtype, engine_command, this_machine
from models.evaluation.report.lists import answer_figures
from models.packaging.base import convert
from models.packaging.build import build_student, built_folder
from models.packaging.registry import find_student
from models.studies.script import run_script
from service.manifest import Manifest, RecipeWeights
from service.records import Signal
from service.signals.prompt import Tokenizer

_READY_S = 600.0

Ask = Callable[[int], Coroutine[Any, Any, dict[str, Answer]]]
"""Answers by user id, so many users at once."""


@dataclass(slots=True)
class Row:
    """What was measured under one name."""

    name: str
    alone: list[Answer] = field(default_factory=list)
    together: list[Answer] = field(default_factory=list)
    together_s: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Variant:
    """The student with one thing changed."""

    row: Row
    student: AskedStudent
    folder: Path
    arguments: tuple[str, ...] = ()
    in_words: Row | None = None
    """Asked of the same engine: as many tokens as the words of each list would take."""


def variants(student: AskedStudent, folder: Path, uncut: Path | None) -> list[Variant]:
    """As shipped, and each change."""
    shipped = student.manifest
    here = dtype(this_machine(has_gpu=False))
    other = "float32" if here == "bfloat16" else "bfloat16"
    plain = shipped.model_copy(
        update={"engine": shipped.engine.model_copy(update={"speculation": None})}
    )
    in_words = Row("words for references, without speculation")
    found = [
        Variant(Row(f"as shipped ({here})"), student, folder),
        Variant(Row(other), student, folder, ("--dtype", other)),
    ]
    if shipped.engine.speculation is None:
        found[0].in_words = in_words
    else:
        unguessed = replace(student, manifest=plain)
        found.append(Variant(Row("without speculation"), unguessed, folder, in_words=in_words))
    if uncut is not None:
        whole = replace(student, tokenizer=Tokenizer.load(uncut / "tokenizer.json"))
        found.append(Variant(Row("the whole vocabulary"), whole, uncut))
    return found


def build_uncut(manifest: Manifest, source: Path, into: Path) -> Path | None:
    """The same adapter on the base's whole vocabulary; None for a student that cuts nothing."""
    weights = manifest.weights
    if not isinstance(weights, RecipeWeights) or weights.delta is None:
        return None
    convert(weights, into, lambda what, share: None, delta=source / weights.delta.file)
    return into


def run(variant: Variant, users: dict[str, Sequence[Signal]], logs: Path, console: Console) -> None:
    """Start its engine, warm it, ask, stop it."""
    children, port = Children(logs), free_port()
    argv, environment = engine_command(
        variant.student.manifest,
        variant.folder,
        port=port,
        machine=this_machine(has_gpu=False),
        extra=variant.arguments,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        children.start("engine", argv, environment)
        with console.status(f"{variant.row.name}: starting"):
            _wait(url, children)
        with console.status(f"{variant.row.name}: {len(users)} users, twice"):
            warm = dict(list(users.items())[:3])
            asyncio.run(ask_for_lists([url], variant.student, warm, at_once=1))
            lists = _time(
                variant.row,
                lambda many: ask_for_lists([url], variant.student, users, at_once=many),
            )
        if variant.in_words and answer_figures(lists)["references"]:
            with console.status(f"{variant.in_words.name}: {len(users)} users, twice"):
                _time(variant.in_words, partial(ask_for_words, url, variant.student, lists))
    finally:
        children.stop()


def _time(row: Row, ask: Ask) -> dict[str, Answer]:
    """Ask one at a time, then eight at once; the answers of the first."""
    alone = asyncio.run(ask(1))
    row.alone += alone.values()
    started = time.perf_counter()
    together = asyncio.run(ask(8))
    row.together_s.append(time.perf_counter() - started)
    row.together += together.values()
    return alone


async def ask_for_words(
    url: str, student: AskedStudent, lists: Mapping[str, Answer], at_once: int
) -> dict[str, Answer]:
    """Answers of as many tokens as each list would have in words: its end is not allowed before."""
    room = asyncio.Semaphore(at_once)

    async def answer(client: httpx.AsyncClient, listed: Answer) -> Answer:
        words = "\n".join(query.text for query in listed.queries)
        tokens = len(student.tokenizer.trusted(words)) + 1
        body = {
            "model": student.key,
            "prompt": listed.prompt.token_ids,
            "temperature": 0,
            "min_tokens": tokens,
            "max_tokens": tokens,
        }
        async with room:
            started = time.perf_counter()
            answered = await client.post(f"{url}/v1/completions", json=body)
            seconds = time.perf_counter() - started
        answered.raise_for_status()
        completion = replace(
            listed.completion, output_tokens=answered.json()["usage"]["completion_tokens"]
        )
        return replace(listed, completion=completion, seconds=seconds)

    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        answers = await asyncio.gather(*(answer(client, listed) for listed in lists.values()))
    return dict(zip(lists, answers, strict=True))


def _wait(url: str, children: Children) -> None:
    until = time.monotonic() + _READY_S
    while time.monotonic() < until:
        children.check()
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    sys.exit("the engine did not become ready")


def report(found: Sequence[Variant], users: int) -> Table:
    """A row for each variant, and for words where the student writes references."""
    table = Table(title=f"{users} demo users, milliseconds a list", title_justify="left")
    names = ("variant", "p50", "p95", "a token", "p50, 8 at once", "users/s", "prompt", "written")
    for name in names:
        table.add_column(name, justify="left" if name == "variant" else "right")
    rows = [row for variant in found for row in (variant.row, variant.in_words) if row]
    for row in rows:
        if not row.alone:
            continue
        alone = sorted(answer.seconds * 1000 for answer in row.alone)
        together = [answer.seconds * 1000 for answer in row.together]
        prompt = statistics.mean(len(answer.prompt.token_ids) for answer in row.alone)
        written = statistics.mean(answer.completion.output_tokens for answer in row.alone)
        table.add_row(
            row.name,
            f"{statistics.median(alone):.0f}",
            f"{alone[int(0.95 * (len(alone) - 1))]:.0f}",
            _a_token(row.alone),
            f"{statistics.median(together):.0f}",
            f"{users / statistics.median(row.together_s):.1f}",
            f"{prompt:.0f} tokens",
            f"{written:.0f} tokens",
        )
    return table


def _a_token(answers: Sequence[Answer]) -> str:
    tokens = [float(answer.completion.output_tokens) for answer in answers]
    if len(set(tokens)) < 2:
        return "–"
    slope, _ = statistics.linear_regression(tokens, [answer.seconds * 1000 for answer in answers])
    return f"{slope:.0f}"


def main() -> None:
    """Read the arguments, build what is missing, run every variant in turn, print the table."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("student", help="name or name@version")
    cli.add_argument("--into", type=Path, default=Path(".local/students"))
    cli.add_argument("--users", type=int, default=32)
    cli.add_argument("--rounds", type=int, default=2)
    chosen = cli.parse_args()
    entry = find_student(chosen.student)
    folder = built_folder(entry.manifest, chosen.into)
    build_student(entry.folder, folder, lambda what, share: None)
    student = load_student(chosen.student, chosen.into)
    users: dict[str, Sequence[Signal]] = {
        user.user_id: user.signals for user in demo_users() if len(user.signals) >= 5
    }
    users = dict(list(users.items())[: chosen.users])
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as scratch:
        uncut = Path(scratch) / "uncut"
        uncut.mkdir()
        found = variants(student, folder, build_uncut(entry.manifest, entry.folder, uncut))
        for _ in range(chosen.rounds):
            for variant in found:
                run(variant, users, Path(scratch) / "log", console)
    Console(width=150).print(report(found, len(users)))


if __name__ == "__main__":
    run_script(main)
