"""Do the rewards know a good list? On tune people, who have judgements.

    python -m models.studies.rewards REPORT/lists.jsonl --articles huffpost.jsonl.gz \\
        --encoder .local/encoders/all-minilm-l6-v2/1

The lists are those that `interests evaluate --people tune` left in its report's folder. Printed is
each reward's mean for each system, and how it goes with nDCG@20 by the judges' grades (Spearman's
rank correlation over people and systems): for relevance by the judges that is 1, for relevance by
what the editor's queries find it says what trainings, whose people nobody judged, can know. Then
how many lists are rewarded in an hour.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from models.evaluation.bench import Bench
from models.evaluation.people_run import load_people
from models.people.reading import HERE
from models.people.views import as_written
from models.rewards.outcomes import Outcomes
from models.rewards.records import Target
from models.rewards.scoring import Scores, scores_of
from models.rewards.targets import judged_targets, taught_target
from models.rewards.terms import REWARDS
from models.studies.script import run_script
from models.studies.written_lists import Written, read_written
from service.encoding.manifest import load_encoder_manifest
from service.encoding.onnx import OnnxModel
from service.retrieval.fusion import FusionSettings


def rewarded(
    targets: Sequence[Target], written: Written, outcomes: Outcomes
) -> dict[str, list[Scores]]:
    """The rewards of every list, by system in the order of the targets."""
    return {
        system: [
            scores_of(
                target,
                outcomes.of(
                    target,
                    target.user.signals,
                    "\n".join(lists.get(target.user.id, ())),
                    finished=True,
                ),
                tuple(REWARDS.values()),
            )
            for target in targets
        ]
        for system, lists in written.items()
    }


def column(scores: Mapping[str, Sequence[Scores]], name: str) -> np.ndarray:
    """One reward of all lists, system after system; NaN where it cannot be told."""
    return np.array(
        [np.nan if (v := one[name]) is None else v for rows in scores.values() for one in rows]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, reward, print."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("lists", type=Path, help="lists.jsonl of an evaluation on tune people")
    cli.add_argument("--articles", required=True)
    cli.add_argument("--encoder", type=Path, required=True, help="the one that searches")
    cli.add_argument("--people", type=Path, default=HERE, help="folder of people and judgements")
    chosen = cli.parse_args(arguments)
    written = read_written(chosen.lists)
    judged = load_people([chosen.articles], "tune", chosen.people)
    articles = {article.id: article for article in judged.data.articles}
    model = OnnxModel(load_encoder_manifest(chosen.encoder), chosen.encoder)
    told = Console(stderr=True)
    told.print(f"{len(articles):,} articles are indexed and encoded")
    settings = replace(FusionSettings(), freshness_weight=0.0)
    with Bench(judged.data, settings=settings, encoder=model) as bench:
        outcomes = Outcomes(bench, model)
        targets = list(judged_targets(judged, outcomes))
        by_judges = rewarded(targets, written, outcomes)
        people = [judged.people[target.user.id] for target in targets]
        seen = (as_written(person, articles) for person in people)
        taught = [taught_target(one, outcomes) for one in seen]
        by_editor = rewarded(taught, written, outcomes)
        began = time.perf_counter()
        rewarded(taught, written, outcomes)
        took = time.perf_counter() - began
    truth = column(by_judges, "relevance")
    table = Table("reward", *written, "with nDCG by judges", box=SIMPLE_HEAD)
    for graded_by, scores in (("judges", by_judges), ("editor", by_editor)):
        for name in REWARDS:
            means = [np.nanmean(column({s: rows}, name)) for s, rows in scores.items()]
            values = column(scores, name)
            known = ~np.isnan(values) & ~np.isnan(truth)
            goes = spearmanr(values[known], truth[known]).statistic if known.any() else np.nan
            table.add_row(
                f"{name}, by {graded_by}", *(f"{mean:.3f}" for mean in means), f"{goes:+.2f}"
            )
    Console(width=150).print(table)
    lists = len(written) * len(targets)
    Console(width=150).print(
        f"{lists:,} lists rewarded in {took:.1f} s with what they search kept: "
        f"{lists / took * 3600:,.0f} an hour on one core"
    )


if __name__ == "__main__":
    run_script(main)
