"""Whatever the parts behind say, an answer is JSON whose numbers are numbers."""

from __future__ import annotations

import math
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from service.api.answers import from_answer
from service.records import (
    Candidate,
    CandidateSource,
    Hit,
    InterestAnswer,
    Query,
    QuerySource,
    Run,
    Signal,
    Timings,
)
from tests.unit.service.api.fakes import SPEC

NULLABLE = {"published", "at"}
"""What the contract allows to be null: times beyond the years that can be written."""


def numbers_missing(value: Any, name: str = "") -> list[str]:
    """Names of the fields that are null, at any depth, but for those that may be."""
    if isinstance(value, dict):
        return [found for key, one in value.items() for found in numbers_missing(one, key)]
    if isinstance(value, list):
        return [found for one in value for found in numbers_missing(one, name)]
    return [name] if value is None and name not in NULLABLE else []


def answer_of(number: float) -> InterestAnswer:
    """An answer in which everything that others write, and is no whole number, is `number`."""
    hit = Hit("a", "Title", "world", 1, number, number)
    return InterestAnswer(
        request_id="r",
        user_id="u",
        student=SPEC,
        queries_from=QuerySource.FRESH,
        candidates_from=CandidateSource.SEARCH,
        degraded=(),
        runs=(Run(Query("t", weight=number), (hit,)),),
        candidates=(Candidate(hit.headline, number, (0,), (1,)),),
        timings=Timings(),
        shown=(Signal(1, "news", "t", "e", weight=number),),
    )


@given(st.floats())
def test_no_answer_holds_a_number_that_json_lacks(number: float) -> None:
    body = orjson.loads(orjson.dumps(from_answer(answer_of(number), explain=True)))
    assert numbers_missing(body) == []
    if math.isfinite(number):
        assert body["candidates"][0]["score"] == round(number, 6)


def test_an_infinite_score_is_still_above_all_others() -> None:
    body = orjson.loads(orjson.dumps(from_answer(answer_of(math.inf), explain=False)))
    assert body["candidates"][0]["score"] > 1e300
