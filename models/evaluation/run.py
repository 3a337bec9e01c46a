"""One evaluation from its source to its report: load, ask, measure, write."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.engine.asking import AskedStudent, ask_for_lists, check_engines, load_student
from models.evaluation.evaluate import Lists, evaluate
from models.evaluation.report.figures import figures
from models.evaluation.report.lists import (
    answer_figures,
    list_figures,
    named_figures,
    origin_figures,
)
from models.evaluation.report.write import about_this_run, check_target, write_report
from models.evaluation.sources import Source
from models.progress import Stage
from service.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Contender:
    """A student, and the engines that serve it."""

    student: AskedStudent
    urls: tuple[str, ...]


def contenders(
    student: str, engines: Sequence[str], compare: Sequence[str], into: Path
) -> list[Contender]:
    """The student, where it has an engine, and those given as `URL=STUDENT`.

    Raises `InvalidInput` for one that is not of that form or given twice, `ConfigurationError`
    where a student is unknown or not built.
    """
    found = [Contender(load_student(student, into), tuple(engines))] if engines else []
    for one in compare:
        url, equals, name = one.rpartition("=")
        if not equals or not url or not name:
            raise InvalidInput(f"{one!r} is not URL=STUDENT", field="--compare")
        found.append(Contender(load_student(name, into), (url,)))
    keys = [one.student.key for one in found]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise InvalidInput(
            f"{min(twice)} is given twice; name its engines by repeating --engine",
            field="--compare",
        )
    return found


def run_evaluation(
    source: Source,
    asked: Sequence[Contender],
    folder: Path,
    *,
    seed: int,
    own_weight: float,
    stage: Stage,
    api_key: str | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Evaluate and write the report into `folder`. Returns it, and what was left out of it.

    Engines and folder are looked at first, since the rest takes minutes. Raises `InvalidInput` and
    `ConfigurationError`; the folder is then as it was.
    """
    check_target(folder)
    for one in asked:
        asyncio.run(check_engines(one.urls, one.student.key, api_key))
    data = source.load(stage)
    signals = {user.id: user.signals for user in data.users}
    lists: dict[str, Lists] = {}
    seen: dict[str, dict[str, float]] = {}
    for one in asked:
        key = one.student.key
        tell = stage(f"{key} asked", sum(map(bool, signals.values())))
        answers = asyncio.run(
            ask_for_lists(one.urls, one.student, signals, api_key=api_key, progress=tell)
        )
        lists[key] = {name: answer.queries for name, answer in answers.items()}
        seen[key] = answer_figures(answers)
    done = evaluate(data, lists, stage, own_weight=own_weight)
    sources = {user.id: user.sources for user in data.users}
    for name, made in done.lists.items():
        known = {}
        if data.simulated:
            known = origin_figures(signals, sources, made) | named_figures(signals, sources, made)
        seen[name] = {**list_figures(signals, made), **known, **seen.get(name, {})}
    report = {
        "simulated": data.simulated,
        "data": dict(data.about),
        "run": about_this_run([one.student.key for one in asked], seed, own_weight),
        "lists": seen,
        **figures(done, seed),
    }
    return report, write_report(folder, report, done)
