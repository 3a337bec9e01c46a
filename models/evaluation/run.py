"""One evaluation from its source to its report: load, ask, measure, write."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.engine.asking import (
    Answer,
    AskedStudent,
    ask_for_lists,
    check_engines,
    load_student,
)
from models.evaluation.evaluate import Lists
from models.evaluation.report.figures import figures
from models.evaluation.report.lists import (
    answer_figures,
    list_figures,
    named_figures,
    origin_figures,
)
from models.evaluation.report.write import about_this_run, check_target, write_report
from models.evaluation.sets import EvaluationSet
from models.evaluation.sources import Source
from models.evaluation.systems import Evaluation, evaluate_systems
from models.progress import Stage
from service.encoding.onnx import OnnxModel
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
    for given in compare:
        url, equals, name = given.rpartition("=")
        if not equals or not url or not name:
            raise InvalidInput(f"{given!r} is not URL=STUDENT", field="--compare")
        found.append(Contender(load_student(name, into), (url,)))
    keys = [contender.student.key for contender in found]
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
    encoder: OnnxModel | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Evaluate and write the report into `folder`. Returns it, and what was left out of it.

    Engines and folder are looked at first, since the rest takes minutes. Raises `InvalidInput` and
    `ConfigurationError`; the folder is then as it was.
    """
    check_target(folder)
    for contender in asked:
        asyncio.run(check_engines(contender.urls, contender.student.key, api_key))
    data = source.load(stage)
    answers = {
        contender.student.key: answers_of(contender, data, stage, api_key) for contender in asked
    }
    lists: dict[str, Lists] = {
        student: {user: answer.queries for user, answer in by_user.items()}
        for student, by_user in answers.items()
    }
    done = evaluate_systems(data, lists, stage, own_weight=own_weight, encoder=encoder)
    report = {
        "simulated": data.simulated,
        "data": dict(data.about),
        "run": about_this_run(
            list(answers), seed, own_weight, encoder.manifest.key if encoder else None
        ),
        "lists": _figures_of_lists(done, answers),
        **figures(done, seed),
    }
    return report, write_report(folder, report, done)


def answers_of(
    contender: Contender, data: EvaluationSet, stage: Stage, api_key: str | None
) -> dict[str, Answer]:
    """What the student answers, by user id; users without signals are not asked."""
    signals = {user.id: user.signals for user in data.users}
    tell = stage(f"{contender.student.key} asked", sum(map(bool, signals.values())))
    return asyncio.run(
        ask_for_lists(contender.urls, contender.student, signals, api_key=api_key, progress=tell)
    )


def _figures_of_lists(
    done: Evaluation, answers: Mapping[str, Mapping[str, Answer]]
) -> dict[str, dict[str, float]]:
    """What can be seen in the lists themselves, by the name of the system; students first."""
    signals = {user.id: user.signals for user in done.data.users}
    sources = {user.id: user.sources for user in done.data.users}
    found: dict[str, dict[str, float]] = {student: {} for student in answers}
    for name, lists in done.lists.items():
        found[name] = list_figures(signals, lists)
        if all(user.sources or not user.signals for user in done.data.users):
            found[name] |= origin_figures(signals, sources, lists)
            found[name] |= named_figures(signals, sources, lists)
        if name in answers:
            found[name] |= answer_figures(answers[name])
    return found
