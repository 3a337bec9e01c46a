"""An evaluation on people from their files to its report, and the pool for those who judge."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from models.engine.asking import check_engines
from models.evaluation.evaluate import Lists
from models.evaluation.people import PeopleEvaluation, evaluate_people
from models.evaluation.people_sets import JudgedPeople, people_set
from models.evaluation.report.lists import answer_figures
from models.evaluation.report.people import people_figures, write_people_report
from models.evaluation.report.write import about_this_run, check_target
from models.evaluation.run import Contender, answers_of
from models.people.pooling import pool
from models.people.reading import good_rows, people_file, qrels_file, read_people, read_qrels
from models.people.records import Judgement, Split
from models.progress import Stage
from service.encoding.onnx import OnnxModel
from service.errors import InvalidInput
from service.records import Article
from service.retrieval.indexes.readers import read_articles


def load_people(articles: Sequence[str], split: Split, folder: Path) -> JudgedPeople:
    """The people of a split and their judgements, over files of articles.

    Raises `InvalidInput` with file, line and remedy.
    """
    read = load_articles(articles)
    judgements = qrels_file(split, folder)
    judged: tuple[Judgement, ...] = read_qrels(judgements) if judgements.exists() else ()
    return people_set(read_people(people_file(split, folder)), judged, read, split)


def load_articles(files: Sequence[str]) -> list[Article]:
    """The articles of all files. Raises `InvalidInput` for a bad row."""
    return [article for file in files for article in good_rows(read_articles(file))]


def run_people(
    articles: Sequence[str],
    split: Split,
    people: Path,
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

    Raises `InvalidInput` and `ConfigurationError`; the folder is then as it was.
    """
    check_target(folder)
    judged = load_people(articles, split, people)
    if len(judged.unjudged) == len(judged.people):
        raise InvalidInput(
            f"no article is judged to be for anybody in {split}: there is nothing to measure by; "
            "have the articles judged that the pool of this split holds (models/people/README.md)",
            field="--people",
        )
    done, answers = _evaluated(judged, asked, own_weight, stage, api_key, encoder)
    report = {
        "data": dict(judged.data.about),
        "run": about_this_run(
            [one.student.key for one in asked],
            seed,
            own_weight,
            encoder.manifest.key if encoder else None,
        ),
        **people_figures(done, seed),
    }
    for name, found in answers.items():
        report["lists"].setdefault(name, {}).update(found)
    return report, write_people_report(folder, report, done)


def people_pool(
    judged: JudgedPeople,
    asked: Sequence[Contender],
    known: Sequence[Judgement],
    *,
    own_weight: float,
    stage: Stage,
    api_key: str | None = None,
    encoder: OnnxModel | None = None,
) -> Iterator[dict[str, Any]]:
    """What is to be judged, one person at a time: who they are, and the articles, mixed.

    The pool is of all systems that an evaluation measures; what is in `known` is left out.
    """
    done, _ = _evaluated(judged, asked, own_weight, stage, api_key, encoder)
    articles = {article.id: article for article in judged.data.articles}
    for person, ids in pool((one.rankings for one in done.systems), known).items():
        who = judged.people[person]
        yield {
            "person": person,
            "portrait": who.portrait,
            "interests": [interest.name for interest in who.interests],
            "articles": [
                {"id": id_, "title": articles[id_].title, "abstract": articles[id_].abstract}
                for id_ in ids
            ],
        }


def _evaluated(
    judged: JudgedPeople,
    asked: Sequence[Contender],
    own_weight: float,
    stage: Stage,
    api_key: str | None,
    encoder: OnnxModel | None,
) -> tuple[PeopleEvaluation, dict[str, dict[str, float]]]:
    for contender in asked:
        asyncio.run(check_engines(contender.urls, contender.student.key, api_key))
    students: dict[str, Lists] = {}
    figures: dict[str, dict[str, float]] = {}
    for contender in asked:
        answers = answers_of(contender, judged.data, stage, api_key)
        key = contender.student.key
        students[key] = {user: answer.queries for user, answer in answers.items()}
        valid = sum(bool(answer.queries) for answer in answers.values()) / max(1, len(answers))
        figures[key] = {"valid": valid, **answer_figures(answers)}
    done = evaluate_people(judged, students, stage, own_weight=own_weight, encoder=encoder)
    return done, figures
