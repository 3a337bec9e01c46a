from __future__ import annotations

import asyncio
import logging

import pytest

from service.errors import (
    GenerationError,
    GenerationInvalid,
    GenerationOverloaded,
    GenerationTimeout,
    GenerationUnavailable,
)
from service.generation.ladder import LadderGenerator, NoEngine, TopRung
from service.protocols import Generator
from service.records import Degraded, GenerationRequest, Query, QueryList, QuerySource
from tests.unit.service.generation.builders import (
    DAY_MS,
    HOUR_MS,
    kept,
    request,
    signal,
    student,
)

STORM = signal("storm warning", "news", id="s")


class Failing:
    """A generator that always raises the same."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def generate(self, request: GenerationRequest, until: float) -> QueryList:
        raise self.error


def ladder(fresh: Generator, stale_max_age_s: float = 86_400) -> LadderGenerator:
    return LadderGenerator(fresh, stale_max_age_s)


async def climb(fresh: Generator, wanted: GenerationRequest) -> QueryList:
    return await ladder(fresh).generate(wanted, 0)


async def test_what_the_upper_rung_gives_is_passed_on_untouched() -> None:
    given = QueryList((Query("storm"),), QuerySource.FRESH, (Degraded.GENERATION_PARTIAL,))

    class Fine:
        async def generate(self, request: GenerationRequest, until: float) -> QueryList:
            return given

    assert await climb(Fine(), request(STORM)) is given


async def test_a_user_without_signals_gets_no_queries_and_costs_no_call() -> None:
    found = await climb(Failing(AssertionError("was called")), request(kept=(kept("old"),)))
    assert found == QueryList((), QuerySource.NONE, (Degraded.NO_SIGNALS,))


async def test_a_user_of_whom_nothing_could_find_news_costs_no_call() -> None:
    wanted = request(signal("?!"), signal("facebook login"))
    found = await climb(Failing(AssertionError("was called")), wanted)
    assert found == QueryList((), QuerySource.NONE, (Degraded.NO_SIGNALS,))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (GenerationTimeout("late"), Degraded.GENERATION_TIMEOUT),
        (GenerationUnavailable("down"), Degraded.GENERATION_UNAVAILABLE),
        (GenerationOverloaded("full"), Degraded.GENERATION_OVERLOADED),
        (GenerationInvalid("noise"), Degraded.GENERATION_INVALID),
        (GenerationError("other"), Degraded.GENERATION_UNAVAILABLE),
    ],
)
async def test_each_failure_goes_down_a_rung_and_says_why(
    error: GenerationError, reason: Degraded
) -> None:
    stale = request(STORM, kept=(kept("an old list", fingerprint="then", age_ms=HOUR_MS),))
    found = await climb(Failing(error), stale)
    assert (found.source, found.degraded) == (QuerySource.STALE, (reason,))
    assert [q.text for q in found.queries] == ["an old list"]
    found = await climb(Failing(error), request(STORM))
    assert (found.source, found.degraded) == (QuerySource.HEURISTIC, (reason,))
    assert [q.text for q in found.queries] == ["storm warning"]


async def test_the_newest_list_of_the_same_student_is_taken_and_cut() -> None:
    lists = (
        kept("older", age_ms=2 * HOUR_MS),
        kept("newer", "and more", age_ms=HOUR_MS),
        kept("another student's", spec=student(version="2")),
        kept("too old", age_ms=DAY_MS),
    )
    wanted = request(STORM, kept=lists, max_queries=1)
    found = await climb(NoEngine(), wanted)
    assert [q.text for q in found.queries] == ["newer"]


async def test_a_list_of_another_student_or_too_old_is_not_taken() -> None:
    lists = (kept("other", spec=student(version="2")), kept("old", age_ms=DAY_MS))
    found = await climb(NoEngine(), request(STORM, kept=lists))
    assert found.source is QuerySource.HEURISTIC


async def test_an_error_nobody_foresaw_is_logged_with_its_traceback_and_survived(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        found = await climb(Failing(ZeroDivisionError("oops")), request(STORM))
    assert found.source is QuerySource.HEURISTIC
    assert found.degraded == (Degraded.GENERATION_UNAVAILABLE,)
    assert "ZeroDivisionError: oops" in caplog.text


async def test_a_cancelled_request_stays_cancelled() -> None:
    with pytest.raises(asyncio.CancelledError):
        await climb(Failing(asyncio.CancelledError()), request(STORM))


async def test_a_student_without_engines_says_so() -> None:
    with pytest.raises(GenerationUnavailable, match="no engine is configured for tiny@1"):
        await NoEngine().generate(request(STORM), 0)


async def test_the_top_rung_alone_goes_down_no_other() -> None:
    """What a shadow is to show is the student, not what stands in for it."""
    with pytest.raises(GenerationOverloaded):
        await TopRung(Failing(GenerationOverloaded("full"))).generate(request(STORM), 0)
    unknown = await TopRung(Failing(AssertionError("was called"))).generate(request(), 0)
    assert unknown == QueryList((), QuerySource.NONE, (Degraded.NO_SIGNALS,))
