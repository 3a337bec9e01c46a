from __future__ import annotations

import math
from dataclasses import replace

import orjson

from service.events.exposures import exposure
from service.records import (
    Candidate,
    CandidateSource,
    Degraded,
    Hit,
    InterestAnswer,
    Placement,
    Query,
    QuerySource,
    Run,
    Signal,
    Timings,
)
from tests.unit.service.api.fakes import SPEC

HIT = Hit("a-1", "Title", "world", 1, 1.0, 2.0)
ANSWER = InterestAnswer(
    request_id="r",
    user_id="maya",
    student=SPEC,
    queries_from=QuerySource.STALE,
    candidates_from=CandidateSource.SEARCH,
    degraded=(Degraded.GENERATION_TIMEOUT,),
    runs=(
        Run(Query("lake ice", weight=0.5), (HIT, HIT), near=(HIT,)),
        Run(Query("ferry"), (), ok=False),
    ),
    candidates=(Candidate(HIT.headline, 1.25, (0, 1), (1, 1)), Candidate(HIT.headline, 0.5)),
    timings=Timings(1.0, 2.0, 3.0, 4.0, 10.0),
    shards_ok=3,
    shards_total=4,
    signals=(Signal(1, "news", "secret words", "e1"), Signal(2, "news", "more", "e2")),
    experiments=(Placement("k", "l", "new", "queries:stale", "generation_timeout"),),
)


def test_an_exposure_says_what_was_served_and_how_it_was_made() -> None:
    assert orjson.loads(exposure(ANSWER, 1_700, 77, 12)) == {
        "v": 1,
        "id": "r",
        "at": 1_700,
        "process": 77,
        "seq": 12,
        "user": "maya",
        "student": "fake@1",
        "places": [["k", "l", "new", "queries:stale", "generation_timeout"]],
        "queries_from": "stale",
        "candidates_from": "search",
        "degraded": ["generation_timeout"],
        "coverage": [0.5, 0.75],
        "queries": [["lake ice", 0.5, 2, 1, "student"], ["ferry", 1.0, 0, 0, "student"]],
        "ids": ["a-1", "a-1"],
        "scores": [1.25, 0.5],
        "matched": [[0, 1], []],
        "ms": [1.0, 2.0, 3.0, 4.0, 10.0],
        "signals": {"news": 2},
    }


def test_no_text_of_a_signal_is_in_it() -> None:
    assert b"secret words" not in exposure(ANSWER, 1, 1, 1)


def test_a_score_that_json_has_no_number_for_is_null() -> None:
    endless = Candidate(HIT.headline, math.inf)
    answer = replace(ANSWER, candidates=(endless,))
    assert orjson.loads(exposure(answer, 1, 1, 1))["scores"] == [None]
