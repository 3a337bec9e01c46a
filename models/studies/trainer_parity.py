"""Is a student the same as served? Lists written by the trainer's own generation beside vLLM's.

    .venv-train/bin/python -m models.studies.trainer_parity http://127.0.0.1:8001 interests-small \\
        --base .local/base/interests-small-9 \\
        --adapter .local/train/interests-small-9/adapter.safetensors \\
        --articles huffpost.jsonl.gz --searches queries.jsonl.gz --users 96

The trainer's side is base and adapter apart, in the dtype of training; the engine's side is the
built student, merged and rounded, with speculation. Prints both Recall@50 of the list alone (L),
their paired difference with its interval, and the share of lists that are the same to the letter.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from models.engine.asking import AskedStudent, ask_for_lists, load_student
from models.evaluation.bench import Bench
from models.evaluation.evaluate import evaluate_lists
from models.evaluation.intervals import paired_difference
from models.evaluation.simulated_sets import simulated_set
from models.packaging.adapter_file import read_delta
from models.simulation.signal_texts import MIXES
from models.studies.arguments import asking_parser, world_of
from models.studies.script import run_script
from models.training.adapter import put_on, quick_dtype, take_over
from models.training.generate import write_lists
from models.training.params import LoraParams
from service.defaults import MAX_QUERIES
from service.generation.queries import queries_in
from service.records import Prompt, Query

_BATCH = 24


def load_trained(base: Path, adapter: Path) -> Any:
    """Base and adapter as in training, in its dtype, the adapter beside the base in float32."""
    delta = read_delta(adapter)
    lora = LoraParams(
        rank=next(iter(delta.pairs.values()))[0].shape[0],
        alpha=round(delta.lora_alpha),
        first_layer=min(int(name.split(".")[2]) for name in delta.pairs),
    )
    model = put_on(base, lora, quick_dtype())
    take_over(model, delta, lora.alpha)
    return model


def trainer_lists(
    model: Any, student: AskedStudent, prompts: dict[str, Prompt]
) -> dict[str, tuple[Query, ...]]:
    """The lists by user, parsed as they are served; empty where none is usable."""
    names = list(prompts)
    lists: dict[str, tuple[Query, ...]] = {}
    for start in range(0, len(names), _BATCH):
        batch = names[start : start + _BATCH]
        ids = [prompts[name].token_ids for name in batch]
        most = student.manifest.decoding.max_tokens
        for name, (text, finished) in zip(
            batch, write_lists(model, ids, student.tokenizer, most), strict=True
        ):
            shown = prompts[name].shown
            lists[name] = queries_in(text, shown, finished=finished, max_queries=MAX_QUERIES)
    return lists


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, write lists on both sides, compare."""
    cli = asking_parser(__doc__)
    cli.add_argument("--base", type=Path, required=True, help="the training base's folder")
    cli.add_argument("--adapter", type=Path, required=True)
    cli.add_argument("--users", type=int, default=96)
    chosen = cli.parse_args(arguments)
    console = Console(stderr=True)

    world = world_of(chosen, console)
    data = simulated_set(world, "test", MIXES["hard"], chosen.users)
    student = load_student(chosen.student, chosen.into)
    users = {user.id: user.signals for user in data.users}
    prompts = {name: student.prompt(signals) for name, signals in users.items()}
    console.print("the engine writes")
    answers = asyncio.run(ask_for_lists([chosen.url], student, users))
    served = {name: answer.queries for name, answer in answers.items()}
    console.print("the trainer's model writes")
    trained = trainer_lists(load_trained(chosen.base, chosen.adapter), student, prompts)
    with Bench(data) as bench:
        figures = [
            evaluate_lists(bench, lists, ("L",))["L"]["recall@50"] for lists in (trained, served)
        ]
    difference = paired_difference(list(figures[1]), list(figures[0]), seed=1)
    same = sum(trained[name] == served[name] for name in served) / len(served)
    sys.stdout.write(
        f"{len(served)} users, Recall@50 of L: trainer {figures[0].mean():.4f}, "
        f"served {figures[1].mean():.4f}, difference {difference.mean:+.4f} "
        f"[{difference.low:+.4f}, {difference.high:+.4f}]; {same:.0%} of the lists are the same\n"
    )


if __name__ == "__main__":
    run_script(main)
