"""What a student that made no mistake would be worth on tune people, by what it is to write.

    python -m models.studies.people_oracles --articles huffpost.jsonl.gz \\
        --encoder .local/encoders/all-minilm-l6-v2/1

The writers of people said which interest each signal stems from, and which are noise. Printed is
nDCG@20, for everybody and for people without a news click, of all own signals; of those that are no
noise; of one query an interest, made of the words of its signals; of both; and of the editor's
queries, by themselves and behind some of the person's own words, as `own_words` of a training's
configuration asks for them.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from models.evaluation.bench import Bench
from models.evaluation.measures import graded_ndcg_at
from models.evaluation.people_run import load_people
from models.evaluation.people_sets import JudgedPeople
from models.evaluation.sets import EvaluationUser
from models.people.checking import without_news
from models.people.reading import HERE
from models.people.records import Person
from models.studies.script import run_script
from models.training.sft.own_words import Newspaper, own_words
from service.encoding.manifest import load_encoder_manifest
from service.encoding.onnx import OnnxModel
from service.generation.own import own_queries
from service.records import Query, Signal
from service.retrieval.fusion import FusionSettings
from service.words.noise import telling_text

_ALL = 64
_JOINED = 6
"""Newest signals of an interest that its one query is made of."""
_HALF = 0.5
_DEPTH = 20

Lists = Mapping[str, Sequence[Query]]
"""By what is written."""


def oracles(person: Person, user: EvaluationUser, newspaper: Newspaper) -> Lists:
    """The lists of one person, by what a student without a fault would write."""
    of = [
        [signal for signal, source in zip(user.signals, user.sources, strict=True) if source == k]
        for k in range(len(person.interests))
    ]
    sound = [
        signal
        for signal, source in zip(user.signals, user.sources, strict=True)
        if source is not None
    ]
    joined = [query for signals in of if (query := _joined(signals))]
    each = own_queries(sound, _ALL, 1.0)
    editor = [interest.query for interest in person.interests]
    behind = {
        f"the editor's, behind {most} own words": [
            Query(" ".join([*own_words(signals, query, newspaper, most), query]))
            for signals, query in zip(of, editor, strict=True)
        ]
        for most in (1, 2, 3)
    }
    return {
        "own signals, all": own_queries(user.signals, _ALL, 1.0),
        "own signals without noise": each,
        "own signals, one query an interest": joined,
        "both": [*joined, *(replace(query, weight=_HALF * query.weight) for query in each)],
        "the editor's": [Query(text) for text in editor],
        **behind,
    }


def _joined(signals: Sequence[Signal]) -> Query | None:
    newest = [
        (text, signal.text)
        for signal in reversed(signals)
        if (text := telling_text(signal.text, signal.domain))
    ][:_JOINED]
    if not newest:
        return None
    texts, said = zip(*newest, strict=True)
    return Query(" ".join(texts), said=" ".join(said))


def measure(bench: Bench, judged: JudgedPeople) -> dict[str, list[float]]:
    """nDCG@20 of everybody for whom something is relevant, in the set's order."""
    newspaper = Newspaper(judged.data.articles)
    found: dict[str, list[float]] = {}
    for user in judged.data.users:
        if user.relevant:
            grades = judged.grades[user.id].of
            for name, written in oracles(judged.people[user.id], user, newspaper).items():
                ranked = bench.rank(user, written).ids
                found.setdefault(name, []).append(graded_ndcg_at(ranked, grades, _DEPTH))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, measure, print."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("--articles", required=True)
    cli.add_argument("--encoder", type=Path, required=True, help="the one that searches")
    cli.add_argument("--people", type=Path, default=HERE, help="folder of people and judgements")
    chosen = cli.parse_args(arguments)
    judged = load_people([chosen.articles], "tune", chosen.people)
    model = OnnxModel(load_encoder_manifest(chosen.encoder), chosen.encoder)
    settings = replace(FusionSettings(), freshness_weight=0.0)
    Console(stderr=True).print(f"{len(judged.data.articles):,} articles are indexed and encoded")
    with Bench(judged.data, settings=settings, encoder=model) as bench:
        found = measure(bench, judged)
    people = [judged.people[user.id] for user in judged.data.users if user.relevant]
    none = np.array([without_news(person) for person in people])
    table = Table("what is written", "nDCG@20", "no news click", box=SIMPLE_HEAD)
    for name, values in found.items():
        table.add_row(name, f"{np.mean(values):.3f}", f"{np.array(values)[none].mean():.3f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    run_script(main)
