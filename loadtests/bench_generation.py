"""What one fresh list costs a gateway in CPU, piece by piece: µs of one core.

    python -m loadtests.bench_generation
    python -m loadtests.bench_generation --against ../before   # in turns with another checkout

- `render`: a prompt of 24 of 30 signals, over users whose texts have been seen (`again`) or not;
- `parse`: a list of 14 lines, of which some refer to signals, lines seen before or not;
- `own`: the user's own signals as queries, first for the encoder and then beside the list;
- `stream`: a call of `--tokens` tokens through the dispatcher, `--at-once` of them at a time, from
  an engine that gives each a token every `--step-ms` (`loadtests.engine_simulator`, a process of
  its own). `stream ms` is the median of the time such a call takes.

Signals are the words of made-up headlines. Medians of all rounds.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import uvloop
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loadtests.bench_dispatch import dispatched, prompts, run_round
from service.choice import PipelineSettings
from service.generation.engines.calls import Sample
from service.generation.samples import agreed_list
from service.records import DOMAINS, Signal
from service.retrieval.fusion import FusionSettings
from service.signals.prompt import Template, Tokenizer, render
from service.steps import as_searched

_ROOT = Path(__file__).parents[1]
_SIGNALS, _LINES, _BUDGET = 30, 14, 448
_TEMPLATE = Template(
    prefix="<|im_start|>user\n",
    signal="{domain}: {text} #{n}\n",
    cue="<|im_end|>\n<|im_start|>assistant\n",
    domains={domain: domain for domain in DOMAINS},
    last=("news",),
    max_signals=24,
    max_chars=120,
    max_tokens=32,
)


def made_up(rng: random.Random, words: list[str], user: int) -> tuple[Signal, ...]:
    """A user's signals, oldest first."""
    return tuple(
        Signal(
            at_ms=1_700_000_000_000 + place,
            domain=rng.choice(DOMAINS),
            text=" ".join(rng.choices(words, k=rng.randint(4, 10))).capitalize(),
            id=f"u{user}-{place}",
        )
        for place in range(_SIGNALS)
    )


def list_of(rng: random.Random, words: list[str]) -> str:
    """What a student writes: references and headlines, a line each."""
    lines = [
        f"#{rng.randint(1, 24)}" if rng.random() < 0.5 else " ".join(rng.choices(words, k=8))
        for _ in range(_LINES)
    ]
    return "".join(f"{line}\n" for line in lines)


def took_us(work: Iterable[Callable[[], object]]) -> float:
    """Median of the CPU time that each takes, in µs."""
    taken = []
    for call in work:
        started = time.perf_counter()
        call()
        taken.append((time.perf_counter() - started) * 1e6)
    return statistics.median(taken)


def texts(tokenizer: Tokenizer, users: int) -> dict[str, float]:
    """µs of what is done with texts, each of which is new at first."""
    rng = random.Random(time.time_ns())
    words = ["".join(rng.choices("aeioubcdfglmnprst", k=rng.randint(3, 9))) for _ in range(4000)]
    crowd = [made_up(rng, words, user) for user in range(users)]
    lists = [list_of(rng, words) for _ in crowd]
    settings = PipelineSettings(
        signals_kept=_SIGNALS,
        hits_per_query=50,
        own_signals=8,
        own_weight=0.5,
        fusion=FusionSettings(),
    )

    def own(signals: tuple[Signal, ...]) -> None:
        as_searched((), signals, settings)
        as_searched((), signals, settings)

    def parse(signals: tuple[Signal, ...], text: str) -> None:
        agreed_list((Sample(text, finished=True),), signals[-24:], max_queries=_LINES)

    pieces: dict[str, list[Callable[[], object]]] = {
        "own": [partial(own, signals) for signals in crowd],
        "render": [partial(render, s, _TEMPLATE, tokenizer, _BUDGET) for s in crowd],
        "parse": [partial(parse, *pair) for pair in zip(crowd, lists, strict=True)],
    }
    found: dict[str, float] = {}
    for name, work in pieces.items():
        found[name] = took_us(work)
        found[f"{name} again"] = took_us(work)
    return found


async def streams(flags: argparse.Namespace) -> dict[str, float]:
    """µs of a call through the dispatcher, and its time in ms."""
    command = [sys.executable, "-m", "loadtests.engine_simulator", "--step-ms", str(flags.step_ms)]
    engine = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    try:
        assert engine.stdout is not None
        async with dispatched(engine.stdout.readline().strip(), flags.at_once) as ask:
            await run_round(ask, prompts(10**6, flags.at_once, flags.tokens, 1), flags.at_once)
            done = await run_round(ask, prompts(0, flags.calls, flags.tokens, 1), flags.at_once)
    finally:
        engine.kill()
        engine.wait()
    return {"stream": done.cpu_us, "stream ms": done.p50_ms}


def once(flags: argparse.Namespace) -> None:
    """Measure what is imported, and write the figures as JSON."""
    tokenizer = Tokenizer.load(flags.tokenizer)
    found = texts(tokenizer, flags.users) | uvloop.run(streams(flags))
    sys.stdout.write(orjson.dumps(found).decode())


def round_of(tree: Path, given: list[str]) -> dict[str, Any]:
    """The figures of a checkout, by a process of its own that imports `service` from there."""
    environment = os.environ | {"PYTHONPATH": f"{tree}:{_ROOT}"}
    command = [sys.executable, __file__, "--once", *given]
    done = subprocess.run(command, env=environment, cwd=tree, check=True, capture_output=True)
    figures: dict[str, Any] = orjson.loads(done.stdout)
    return figures


def main() -> None:
    """Print a table."""
    cli = argparse.ArgumentParser(description="What a fresh list costs, piece by piece.")
    cli.add_argument("--tokenizer", type=Path, required=True, help="a student's tokenizer.json")
    cli.add_argument("--against", type=Path, help="another checkout, measured in turns with this")
    cli.add_argument("--rounds", type=int, default=5)
    cli.add_argument("--users", type=int, default=100)
    cli.add_argument("--calls", type=int, default=160)
    cli.add_argument("--at-once", type=int, default=8)
    cli.add_argument("--tokens", type=int, default=60)
    cli.add_argument("--step-ms", type=float, default=1.0)
    cli.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    flags = cli.parse_args()
    flags.tokenizer = flags.tokenizer.resolve()
    if flags.once:
        once(flags)
        return
    given = [
        item
        for name in ("tokenizer", "users", "calls", "at_once", "tokens", "step_ms")
        for item in (f"--{name.replace('_', '-')}", str(getattr(flags, name)))
    ]
    trees = [_ROOT, *([flags.against.resolve()] if flags.against else [])]
    seen: dict[Path, list[dict[str, Any]]] = {tree: [] for tree in trees}
    for number in range(flags.rounds):
        for tree in trees if number % 2 == 0 else trees[::-1]:
            seen[tree].append(round_of(tree, given))
    table = Table("µs", "here", *(["there"] if flags.against else []), box=SIMPLE_HEAD)
    for name in seen[_ROOT][0]:
        figures = (statistics.median(one[name] for one in seen[tree]) for tree in trees)
        table.add_row(name, *(f"{figure:.1f}" for figure in figures))
    Console().print(table)


if __name__ == "__main__":
    main()
