"""It stays fast: ratios within one run, with room for noise and none for a factor of two.

Nothing here is a time. What is measured is divided by what was measured beside it, on the same
machine and in the same minute: pure stages by a loop of plain Python, whole answers by the bare
framework (`loadtests.floor`). A bound is twice what was found when it was set; where one is passed,
find out what became slow, and raise it only for what is worth it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtests.bench_fusion import LIMIT, NOW_MS, make_runs
from loadtests.bench_generation import list_of, made_up
from service.api.answers import from_answer
from service.generation.engines.calls import Sample
from service.generation.own import beside
from service.generation.samples import agreed_list
from service.records import (
    CandidateSource,
    Decoding,
    InterestAnswer,
    QuerySource,
    StudentSpec,
    Timings,
)
from service.retrieval.fusion import FusionSettings, fuse
from service.signals.merge import merge
from tests.integration.test_loadtests import run

pytestmark = [pytest.mark.redis, pytest.mark.timeout(300)]

SPEC = StudentSpec("s", "1", "s", "t", 448, Decoding(), 1000)


def cpu_s(work: Callable[[], object], times: int = 30) -> float:
    """The least CPU time that it takes: what else the machine does only adds to it."""
    best = float("inf")
    for _ in range(times):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def plain_python() -> dict[str, float]:
    """What the stages are compared with: a thousand scores added up by id."""
    totals: dict[str, float] = {}
    for number in range(1000):
        name = f"n{number % 380:06}"
        totals[name] = totals.get(name, 0.0) + number * 0.5
    return totals


def stages() -> dict[str, Callable[[], object]]:
    """The pure stages of a request, each on what a usual request gives it."""
    rng = random.Random(3)
    words = ["".join(rng.choices("aeioubcdfglmnprst", k=rng.randint(3, 9))) for _ in range(4000)]
    runs = make_runs(400, 50, rng)
    signals = made_up(rng, words, 1)
    text = list_of(rng, words)
    candidates = fuse(runs, limit=LIMIT, now_ms=NOW_MS, exclude=(), settings=FusionSettings())

    def written() -> Any:
        return agreed_list((Sample(text, finished=True),), signals[-24:], max_queries=14)

    def answer() -> object:
        # Another tuple each time: the same one would be written once.
        return from_answer(
            InterestAnswer(
                request_id="r",
                user_id="u",
                student=SPEC,
                queries_from=QuerySource.FRESH,
                candidates_from=CandidateSource.SEARCH,
                degraded=(),
                runs=(*runs,),
                candidates=(*candidates[:-1], candidates[-1]),
                timings=Timings(),
            ),
            explain=False,
        )

    return {
        "fuse": lambda: fuse(
            runs, limit=LIMIT, now_ms=NOW_MS, exclude=(), settings=FusionSettings()
        ),
        "read a list": written,
        "own signals": lambda: beside((), list(signals), 12, 0.5),
        "merge signals": lambda: merge(signals[:20], signals[20:], 200),
        "write the answer": answer,
    }


BOUNDS = {
    "fuse": 2.2,
    "read a list": 0.7,
    "own signals": 0.45,
    "merge signals": 0.1,
    "write the answer": 0.9,
}
"""Times what `plain_python` takes."""


def test_no_pure_stage_takes_twice_what_it_took() -> None:
    unit = cpu_s(plain_python)
    for work in (work_of := stages()).values():
        work()  # whatever is remembered of these texts is there now
    found = {name: cpu_s(work) / unit for name, work in work_of.items()}
    slow = {name: round(times, 2) for name, times in found.items() if times > BOUNDS[name]}
    assert slow == {}, f"times of plain Python, of which {BOUNDS} are borne"


@pytest.fixture(scope="module")
def cpu_ms(built_student: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """CPU of an answer, the least of the rounds: of the floor, of a reused list, of a fresh one."""
    folder = tmp_path_factory.mktemp("speed")
    small = ("--rounds", "3", "--seconds", "1")
    reused = run("reused", built_student, folder / "reused", *small, "--articles", "1881")
    fresh = run("inline", built_student, folder / "inline", *small, "--step-ms", "0")

    def least(found: dict[str, Any], side: str) -> float:
        return float(min(turn["CPU ms an answer"] for turn in found["data"]["turns"][side]))

    return {
        "floor": least(reused, "floor"),
        "reused": least(reused, "gateway"),
        "fresh": least(fresh, "gateway"),
    }


@pytest.mark.parametrize(("kind", "bound"), [("reused", 5.0), ("fresh", 52.0)])
def test_no_answer_takes_twice_the_floor_it_took(
    cpu_ms: dict[str, float], kind: str, bound: float
) -> None:
    assert cpu_ms[kind] / cpu_ms["floor"] <= bound
