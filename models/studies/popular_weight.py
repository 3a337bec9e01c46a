"""What popularity should count beside a reader's own queries: the constant `popularity_weight`.

    python -m models.studies.popular_weight --encoder .local/encoders/all-minilm-l6-v2/1 \\
        --news news.tsv --behaviors behaviors.tsv

On a reading log of your own. Signals are what was read before, searched as served without an engine
(the heuristic's list beside the own signals). Printed for each weight: Recall@50 of the clicks and
the AUC within impressions, and beside them what popularity finds alone and what history finds
alone.

The last columns need no clicks that are typical, only texts and a popularity. They compare with the
sum that a real log was measured with (`_reference`): of its first 50, how many are among ours, and
how many of the popular 50 are in either list.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from models.evaluation.baselines import heuristic
from models.evaluation.bench import Bench, Ranked
from models.evaluation.evaluate import as_served, measure
from models.evaluation.log_sets import log_set
from models.evaluation.sets import EvaluationSet, EvaluationUser
from models.studies.script import run_script
from service.encoding.manifest import load_encoder_manifest
from service.encoding.onnx import OnnxModel
from service.records import Query

WEIGHTS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
REFERENCE = 0.05
"""What the standardised sums of words and meaning count there, where popularity is 0 to 1."""
_FAR = 50
_NEAREST = 3
_SIGNALS = 24

Floats = NDArray[np.float64]


def reference(bench: Bench, user: EvaluationUser, popular: Floats) -> Floats:
    """Popularity, 0 to 1, and a little of what the user's newest signals say, of all articles.

    By words BM25, summed over the signals; by meaning the mean nearness of the three nearest
    signals; each standardised over the articles.
    """
    articles = bench.data.articles
    place = {article.id: number for number, article in enumerate(articles)}
    texts = [signal.text for signal in user.signals[-_SIGNALS:]]
    by_words, near = np.zeros(len(articles)), np.zeros((len(texts), len(articles)))
    for row, text in enumerate(texts):
        run = bench.search(user, Query(text), len(articles))
        for hit in run.hits:
            by_words[place[hit.id]] += hit.score
        for hit in run.near:
            near[row, place[hit.id]] = hit.score
    by_meaning = np.sort(near, axis=0)[-_NEAREST:].mean(axis=0)
    return popular + REFERENCE * (_standard(by_words) + _standard(by_meaning))


def _standard(scores: Floats) -> Floats:
    spread = scores.std()
    return (scores - scores.mean()) / spread if spread else np.zeros(len(scores))


def popularities(data: EvaluationSet, user: EvaluationUser) -> Floats:
    """The popularity of all articles at the user's moment, on a logarithmic scale, 0 to 1."""
    clicks = user.popular
    counts = [
        article.popularity if clicks is None else clicks.get(article.id, 0.0)
        for article in data.articles
    ]
    scale: Floats = np.log1p(np.array(counts))
    most = float(scale.max(initial=0.0))
    return scale / most if most else scale


def _measures(bench: Bench, user: EvaluationUser, ranked: Ranked) -> list[float]:
    row = measure(bench.data, user, ranked)
    return [row["recall@50"], row["auc"]]


def measure_weights(bench: Bench, weights: Sequence[float]) -> tuple[dict[str, Floats], float]:
    """By what is served: Recall@50, AUC, share of the reference's first 50, of the popular 50.

    Means over the users; the last two are NaN where they do not apply. Beside them the share of the
    popular 50 that the reference holds.
    """
    served = bench.settings
    ids = np.array([article.id for article in bench.data.articles])
    rows: dict[str, list[list[float]]] = {}
    kept: list[float] = []
    for user in bench.data.users:
        popular = popularities(bench.data, user)
        fit = np.array(
            [id_ not in user.exclude and (user.live is None or id_ in user.live) for id_ in ids]
        )

        def first(scores: Floats, fit: NDArray[np.bool_] = fit) -> frozenset[str]:
            best = np.argsort(-np.where(fit, scores, -np.inf), kind="stable")[:_FAR]
            return frozenset(ids[best[fit[best]]].tolist())

        most, wanted = first(popular), first(reference(bench, user, popular))
        kept.append(len(wanted & most) / _FAR)
        queries = as_served(bench, user, heuristic(user.signals))
        nothing = [float("nan")] * 2
        rows.setdefault("popularity", []).append(
            _measures(bench, user, bench.popular(user)) + nothing
        )
        rows.setdefault("history", []).append(
            _measures(bench, user, bench.rank(user, queries)) + nothing
        )
        for weight in weights:
            bench.settings = replace(served, popularity_weight=weight)
            ranked = bench.rank(user, queries, popular=True)
            shown = frozenset(ranked.ids[:_FAR])
            shares = [len(shown & wanted) / _FAR, len(shown & most) / _FAR]
            rows.setdefault(f"{weight:g}", []).append(_measures(bench, user, ranked) + shares)
        bench.settings = served
    return {name: _means(np.array(row)) for name, row in rows.items()}, float(np.mean(kept))


def _means(rows: Floats) -> Floats:
    """Of each column, over the rows that have it."""
    known = ~np.isnan(rows)
    sums: Floats = np.where(known, rows, 0.0).sum(axis=0)
    means: Floats = np.full(rows.shape[1], np.nan)
    np.divide(sums, known.sum(axis=0), where=known.any(axis=0), out=means)
    return means


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, measure, print the table."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("--encoder", type=Path, required=True, help="a built encoder's folder")
    cli.add_argument("--news", required=True)
    cli.add_argument("--behaviors", required=True)
    cli.add_argument("--impressions", type=int, default=300, help="a sample of so many")
    cli.add_argument("--weights", type=float, nargs="+", default=WEIGHTS)
    chosen = cli.parse_args(arguments)
    data = log_set(chosen.news, chosen.behaviors, max_impressions=chosen.impressions)
    model = OnnxModel(load_encoder_manifest(chosen.encoder), chosen.encoder, threads=2)
    console = Console(width=110)
    with Console(stderr=True).status("indexing, then searching"), Bench(data, encoder=model) as it:
        found, kept = measure_weights(it, chosen.weights)
    table = Table(
        "popularity_weight",
        "Recall@50",
        "AUC",
        "of the reference's 50",
        "of the popular 50",
        title=f"{len(data.users)} impressions; {kept:.3f} of the popular 50 are the reference's",
        box=SIMPLE_HEAD,
    )
    for name, means in found.items():
        table.add_row(name, *["" if np.isnan(mean) else f"{mean:.3f}" for mean in means])
    console.print(table)


if __name__ == "__main__":
    run_script(main)
