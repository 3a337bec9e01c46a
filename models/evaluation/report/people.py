"""The report of an evaluation on people: figures with intervals, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from models.evaluation.intervals import (
    Interval,
    bootstrap_interval,
    paired_difference,
    ratio_interval,
)
from models.evaluation.people import EDITOR, MEASURES, Floats, PeopleEvaluation, Served
from models.evaluation.report.markdown import pairs_table, searched, shown, table
from models.evaluation.report.write import write_folder
from service.errors import InvalidInput

Json = dict[str, Any]

COMPARED = ("ndcg@20", "p@10", "covered")
"""Measures in which students and the editor's queries are set against the others."""
SHOWN = ("ndcg@10", "ndcg@20", "p@10", "recall@50", "covered", "judged@10", "searches")
_SEGMENTED = "ndcg@20"
WRITTEN = (
    "The people and what was judged for them are **written by this project's authors, with language"
    " models** (models/people/README.md): no real reader stands behind a figure."
)


def people_figures(done: PeopleEvaluation, seed: int) -> Json:
    """All figures as JSON knows them. `seed` is the bootstrap's; intervals are over people."""
    everybody = done.segments["everybody"]
    return {
        "systems": [
            {
                "name": system.name,
                "reading": system.reading,
                "searched_by": system.searched_by,
                "label": system.label,
                "student": system.student,
                **{name: _mean(system.measured[name], everybody, seed) for name in MEASURES},
            }
            for system in done.systems
        ],
        "segments": [
            {
                "segment": segment,
                "people": int(among.sum()),
                _SEGMENTED: {
                    system.label: _mean(system.measured[_SEGMENTED], among, seed)
                    for system in done.systems
                },
            }
            for segment, among in done.segments.items()
            if among.any()
        ],
        "best_baseline": _best_baseline(done).label,
        "comparisons": [
            _compared(done, system, other, segment, seed)
            for segment in ("everybody", "no news click", "cold")
            for system in done.systems
            if (system.student or system.name == EDITOR) and system.searched_by == "both"
            for other in done.systems
            if other.name not in {EDITOR, system.name} and other.searched_by == "both"
        ],
        "lists": {
            name: {figure: float(values.mean()) for figure, values in found.items()}
            for name, found in done.of_lists.items()
        },
    }


def _best_baseline(done: PeopleEvaluation) -> Served:
    """By nDCG@20 of those that search by words and meaning; the editor's queries are none."""
    alone = [
        system
        for system in done.systems
        if not system.student and system.name != EDITOR and system.searched_by == "both"
    ]
    return max(alone, key=lambda system: float(np.nanmean(system.measured[_SEGMENTED])))


def _compared(
    done: PeopleEvaluation, system: Served, other: Served, segment: str, seed: int
) -> Json:
    among = done.segments[segment]
    found: Json = {"system": system.label, "against": other.label, "segment": segment}
    for name in COMPARED:
        a, b = system.measured[name][among], other.measured[name][among]
        good = ~(np.isnan(a) | np.isnan(b))
        if not good.any():
            continue
        a, b = a[good], b[good]
        try:
            ratio = _json(ratio_interval(a, b, seed=seed))
        except InvalidInput:  # the other found nothing for anybody
            ratio = None
        found[name] = {"difference": _json(paired_difference(a, b, seed=seed)), "ratio": ratio}
    return found


def _mean(values: Floats, among: Any, seed: int) -> Json | None:
    chosen = values[among & ~np.isnan(values)]
    if not chosen.size:
        return None
    return {**_json(bootstrap_interval(chosen, seed=seed)), "people": int(chosen.size)}


def _json(interval: Interval) -> Json:
    bounds = {"mean": interval.mean, "low": interval.low, "high": interval.high}
    return {name: value if np.isfinite(value) else None for name, value in bounds.items()}


def people_markdown(report: Mapping[str, Any], plots: Sequence[str]) -> str:
    """The whole report. `plots` are names of files beside it."""
    systems, segments = report["systems"], report["segments"]
    people = segments[0]["people"]
    parts = [
        f"# Evaluation on {people} people ({report['data']['split']})",
        WRITTEN,
        "L: the list alone. S: the list beside the user's own newest signals, as served. Means over"
        " people with 95 % bootstrap intervals. Grades 0, 1, 2 are gains; what nobody judged gains"
        " nothing, and judged@10 is the judged share of the first ten. Covered: interests with a"
        " relevant article among the first twenty, of those that have one at all. The editor's"
        f" queries are no system: they are what is to be had. {searched(report)}",
        table(
            ["system", *SHOWN],
            [[one["label"], *(shown(one[name]) for name in SHOWN)] for one in systems],
        ),
        f"The best baseline by nDCG@20 is *{report['best_baseline']}*.",
        *(f"![{name}]({name})" for name in plots),
        "## nDCG@20 by segment",
        table(
            ["system", *(f"{one['segment']}, {one['people']}" for one in segments)],
            [
                [label, *(shown(one[_SEGMENTED][label]) for one in segments)]
                for label in segments[0][_SEGMENTED]
            ],
        ),
        "## Paired by person",
        table(
            ["system", "against", "segment", "measure", "difference", "ratio of means"],
            [
                [
                    pair["system"],
                    pair["against"],
                    pair["segment"],
                    name,
                    shown(pair[name]["difference"]),
                    shown(pair[name]["ratio"]),
                ]
                for pair in report["comparisons"]
                for name in COMPARED
                if name in pair
            ],
        ),
        "## The lists themselves",
        _lists(report["lists"]),
        "## What was evaluated",
        pairs_table(report["data"]),
        "## This run",
        pairs_table(report["run"]),
    ]
    return "\n\n".join(parts) + "\n"


def _lists(lists: Mapping[str, Mapping[str, float]]) -> str:
    names = list(dict.fromkeys(name for found in lists.values() for name in found))
    rows = [
        [system, *(f"{found[name]:.3g}" if name in found else "–" for name in names)]
        for system, found in lists.items()
    ]
    return table(["list", *names], rows)


def print_people(report: Mapping[str, Any], console: Console) -> None:
    """The systems as a terminal shows them, and each student against the best baseline."""
    shown_names = ("ndcg@20", "p@10", "covered", "judged@10", "searches")
    grid = Table(box=None, pad_edge=False)
    grid.add_column("system", overflow="fold")
    for name in shown_names:
        grid.add_column(name, justify="right")
    for one in report["systems"]:
        cells = ["–" if one[name] is None else f"{one[name]['mean']:.3f}" for name in shown_names]
        grid.add_row(one["label"], *cells, style="bold" if one["student"] else "")
    console.print(grid)
    for pair in report["comparisons"]:
        if pair["against"] == report["best_baseline"] and "ndcg@20" in pair:
            console.print(
                f"{pair['system']} against {pair['against']}, {pair['segment']}: nDCG@20 ratio "
                f"{shown(pair['ndcg@20']['ratio'])}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
    console.print(WRITTEN.replace("**", ""), markup=False, highlight=False, soft_wrap=True)


def write_people_report(
    folder: Path, report: Mapping[str, Any], done: PeopleEvaluation
) -> list[str]:
    """Write the folder of an evaluation on people; see `write_folder`."""

    def plots(aside: Path) -> list[str]:
        from models.evaluation.report.people_plot import draw_people

        return draw_people(aside, report)

    rows = (
        {
            "person": user.id,
            "queries": {
                name: [query.text for query in lists.get(user.id, ())]
                for name, lists in done.lists.items()
            },
        }
        for user in done.judged.data.users
    )
    return write_folder(folder, report, people_markdown, plots, rows)
