"""How well a template and a decoding make a student write lists: a small scripted measure.

`python -m models.studies.templates URL FOLDER [TEMPLATE…]` runs the twenty readers of
`models/studies/readers.yaml` through an engine that serves the student in FOLDER, with each
template (the student's own when none is given), and prints one row each. Needs no labels: it
measures what can be seen in the lists themselves (`Figures`), not whether readers click.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations
from pathlib import Path
from typing import get_args

import yaml

from models.engine.asking import complete
from models.evaluation.report.lists import list_figures
from models.studies.script import run_script
from service.defaults import MAX_QUERIES
from service.generation.queries import queries_in
from service.manifest import load_manifest
from service.records import Decoding, Domain, Signal
from service.signals.prompt import Template, Tokenizer, load_template, render
from service.words.text import stems

READERS = Path(__file__).parent / "readers.yaml"
MIN_QUERIES = 3

Output = tuple[str, bool, int]
"""What a student wrote for a reader: the text, whether it was finished, and its tokens."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one template and decoding gave over all readers; shares from 0 to 1.

    `valid`, `queries` and `copied` are those of `models.evaluation.report.lists.list_figures`.
    """

    valid: float
    queries: float
    three_or_more: float
    """Readers whose list has at least three queries."""
    supported: float
    """Queries that share a word stem with the reader's own signals."""
    taken_up: float
    """Signals that share a word stem with at least one query."""
    copied: float
    examples: float
    """Queries whose stems all stand in the template's own words and not in the signals."""
    alike: float
    """Jaccard index of two readers' lists' stems, on average: 1 is one list for everybody."""
    output_tokens: float
    """Tokens written for one reader, on average over readers."""


def figures_of(
    readers: Sequence[Sequence[Signal]], outputs: Sequence[Output], template: Template
) -> Figures:
    """Judge what was written for each reader. Pure."""
    lists = [
        queries_in(text, reader, finished=finished, max_queries=MAX_QUERIES)
        for reader, (text, finished, _) in zip(readers, outputs, strict=True)
    ]
    seen = list_figures(
        {str(number): reader for number, reader in enumerate(readers)},
        {str(number): queries for number, queries in enumerate(lists)},
    )
    fixed = stems(template.prefix)
    stemmed = [[stems(query.text) for query in queries] for queries in lists]
    supported = examples = taken_up = signals = 0
    for reader, queries in zip(readers, stemmed, strict=True):
        own = [stems(signal.text) for signal in reader]
        words = frozenset[str]().union(*own)
        supported += sum(bool(query & words) for query in queries)
        examples += sum(bool(query) and query <= fixed and not query & words for query in queries)
        taken_up += sum(any(query & signal for query in queries) for signal in own)
        signals += len(own)
    total = sum(map(len, lists)) or 1
    said = [frozenset[str]().union(*queries) for queries in stemmed]
    return Figures(
        valid=seen["valid"],
        queries=seen["queries"],
        three_or_more=sum(len(queries) >= MIN_QUERIES for queries in lists) / len(lists),
        supported=supported / total,
        taken_up=taken_up / signals,
        copied=seen["copied"],
        examples=examples / total,
        alike=statistics.fmean(_jaccard(a, b) for a, b in combinations(said, 2)),
        output_tokens=statistics.fmean(tokens for *_, tokens in outputs),
    )


def load_readers(path: Path = READERS) -> list[list[Signal]]:
    """The made-up readers: their signals, oldest first."""
    readers = []
    for number, entries in enumerate(yaml.safe_load(path.read_text(encoding="utf-8"))):
        reader = []
        for place, (domain, text) in enumerate(entries):
            if domain not in get_args(Domain):
                raise ValueError(f"{path}: reader {number + 1}: no domain {domain!r}")
            reader.append(Signal(place, domain, text, f"{number}-{place}"))
        readers.append(reader)
    return readers


async def first_samples(
    url: str, model: str, prompts: Sequence[Sequence[int]], decoding: Decoding, at_once: int
) -> tuple[list[Output], list[float]]:
    """What an engine writes for each prompt, of several samples the first, and seconds each call
    took. Raises as `complete` does.
    """
    done = await complete([url], model, prompts, decoding, at_once=at_once)
    firsts = [(completion.samples[0], completion.output_tokens) for completion, _ in done]
    outputs = [(sample.text, sample.finished, tokens) for sample, tokens in firsts]
    return outputs, [seconds for _, seconds in done]


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a or b else 0.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row of figures and times for each template."""
    chosen = _parser().parse_args(arguments)
    manifest = load_manifest(chosen.folder)
    tokenizer = Tokenizer.load(chosen.folder / manifest.tokenizer.file)
    decoding = _decoding(manifest.spec().decoding, chosen)
    readers = load_readers()
    names = [field.name for field in fields(Figures)]
    print_row = sys.stdout.write
    print_row(" | ".join(["template", *names, "p50 s", "p95 s"]) + "\n")
    for path in chosen.templates or [chosen.folder / manifest.template.file]:
        template = load_template(path)
        prompts = [
            render(reader, template, tokenizer, manifest.prompt_budget).token_ids
            for reader in readers
        ]
        outputs, seconds = asyncio.run(
            first_samples(chosen.url, manifest.key, prompts, decoding, chosen.at_once)
        )
        figures = figures_of(readers, outputs, template)
        cells = [f"{getattr(figures, name):.2f}" for name in names]
        ordered = sorted(seconds)
        p50, p95 = statistics.median(ordered), ordered[int(0.95 * (len(ordered) - 1))]
        print_row(" | ".join([path.stem, *cells, f"{p50:.2f}", f"{p95:.2f}"]) + "\n")
        for reader, (text, *_) in list(zip(readers, outputs, strict=True))[: chosen.show]:
            print_row(f"--- {'; '.join(signal.text for signal in reader)}\n{text}\n")
        sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    cli = argparse.ArgumentParser(prog="python -m models.studies.templates", description=__doc__)
    cli.add_argument("url")
    cli.add_argument("folder", type=Path)
    cli.add_argument("templates", type=Path, nargs="*")
    cli.add_argument("--at-once", type=int, default=1, help="Readers asked at the same time.")
    cli.add_argument("--show", type=int, default=0, help="Lists to print for each template.")
    for name in ("temperature", "top_p", "repetition_penalty"):
        cli.add_argument(f"--{name.replace('_', '-')}", type=float)
    for name in ("n", "max_tokens"):
        cli.add_argument(f"--{name.replace('_', '-')}", type=int)
    return cli


def _decoding(own: Decoding, chosen: argparse.Namespace) -> Decoding:
    """The student's own decoding, with what was chosen instead."""
    names = [field.name for field in fields(Decoding)]
    given = {name: getattr(chosen, name, None) for name in names}
    return replace(own, **{name: value for name, value in given.items() if value is not None})


if __name__ == "__main__":
    run_script(main)
