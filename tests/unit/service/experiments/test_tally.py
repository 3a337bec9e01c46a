"""What is counted of exposures, and which counts break a guard."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.experiments.definitions import Arm, Experiment, Guard
from service.experiments.tally import Exposure, Tally, breaches, read_exposure
from tests.unit.service.experiments.builders import NOW_MS, experiment

DAY_MS = 86_400_000
GUARD = Guard(sample_ratio=True, degraded=500, empty=500, slow=500, slow_ms=800)


def exposure(user: str, arm: str = "control", reason: str | None = None, **more: Any) -> Exposure:
    given: dict[str, Any] = {"degraded": False, "empty": False, "took_ms": 100.0, **more}
    return Exposure(user, (("others", "new", None), ("e", arm, reason)), **given)


def tally_of(*exposures: Exposure, one: Experiment | None = None) -> Tally:
    tally = Tally(one or experiment("e", guard=GUARD), GUARD, since_ms=0)
    for given in exposures:
        tally.add(given, NOW_MS)
    return tally


def told(tally: Tally, guard: Guard = GUARD, one: Experiment | None = None) -> list[str]:
    return list(breaches(one or experiment("e"), guard, tally))


def crowd(arm: str, users: int, bad: int = 0, **more: Any) -> list[Exposure]:
    """So many users of an arm, the first `bad` of them with what is wrong."""
    return [
        exposure(f"{arm}-{number}", arm, **(more if number < bad else {}))
        for number in range(users)
    ]


def test_an_exposure_is_read_as_it_is_written() -> None:
    written = {
        "v": 1,
        "id": "r",
        "user": "maya",
        "places": [["e", "layer", "other", "queries:stale", "generation_timeout"]],
        "degraded": ["generation_timeout"],
        "ids": ["a1"],
        "ms": [1.0, 700.0, 30.0, 2.0, 733.5],
    }
    assert read_exposure(json.dumps(written).encode()) == Exposure(
        "maya", (("e", "other", "generation_timeout"),), degraded=True, empty=False, took_ms=733.5
    )
    for odd in ({"v": 2}, {"places": 7}, {"ms": []}, {"ms": None}, {"places": [["e"]]}):
        assert read_exposure(json.dumps(written | odd).encode()) is None
    assert read_exposure(b"not JSON") is None


def test_a_user_counts_once_by_the_first_exposure() -> None:
    tally = tally_of(exposure("maya"), exposure("maya"), exposure("ben", "other"))
    assert (tally.arms, tally.users) == (("control", "other"), [1, 1])


@pytest.mark.parametrize("reason", ["override", "allowlist"])
def test_what_no_hash_gave_is_left_out(reason: str) -> None:
    tally = tally_of(exposure("maya", "other", reason), exposure("maya", "other", "a_reason"))
    assert tally.users == [0, 1]
    assert tally_of(exposure("maya", "other", reason)).users == [0, 0]


def test_an_unknown_arm_and_another_experiment_are_left_out() -> None:
    other = Exposure("u", (("x", "control", None),), degraded=True, empty=True, took_ms=1.0)
    assert tally_of(exposure("maya", "gone"), other).users == [0, 0]


def test_shares_are_of_each_users_first_answer_of_the_newest_day() -> None:
    tally = tally_of()
    tally.add(exposure("maya", degraded=True), NOW_MS)
    tally.add(exposure("maya"), NOW_MS)
    assert (tally.today.users, tally.today.bad["degraded"]) == ([1, 0], [1, 0])
    tally.add(exposure("maya", empty=True), NOW_MS + DAY_MS)
    tally.add(exposure("ben", empty=True), NOW_MS)
    assert (tally.today.users, tally.today.bad["empty"]) == ([1, 0], [1, 0])
    assert tally.today.bad["degraded"] == [0, 0]
    assert tally.users == [2, 0]


def test_what_was_written_before_the_experiment_was_resumed_is_left_out() -> None:
    tally = Tally(experiment("e"), GUARD, since_ms=NOW_MS)
    tally.add(exposure("maya"), NOW_MS - 1)
    tally.add(exposure("ben"), NOW_MS)
    assert tally.users == [1, 0]


def test_a_guard_that_is_kept_says_nothing() -> None:
    tally = tally_of(*crowd("control", 1_000, 30, degraded=True), *crowd("other", 1_010, 60))
    assert told(tally) == []
    assert told(tally_of()) == []


def test_a_ratio_that_is_broken_is_said_with_its_numbers() -> None:
    tally = tally_of(*crowd("control", 1_200), *crowd("other", 800))
    assert told(tally) == [
        "users are not in the arms as the splits say: control has 1,200 where 1,000 were expected,"
        " other has 800 where 1,000 were expected"
    ]
    assert told(tally, Guard(degraded=500)) == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"degraded": True}, "degraded"),
        ({"empty": True}, "empty"),
        ({"took_ms": 800.0}, "slower than 800 ms"),
    ],
)
def test_an_arm_that_is_worse_than_allowed_is_said_with_its_numbers(
    more: dict[str, Any], says: str
) -> None:
    tally = tally_of(*crowd("control", 1_000, 20, **more), *crowd("other", 1_000, 150, **more))
    assert told(tally) == [
        f"more than 5% more answers are {says}: today 150 of 1,000 users (15.0%) in other,"
        " 20 of 1,000 users (2.0%) in control"
    ]
    better = tally_of(*crowd("control", 1_000, 150, **more), *crowd("other", 1_000, 20, **more))
    assert told(better) == []


def test_a_rollout_is_compared_with_those_held_out() -> None:
    rollout = experiment("e", kind="rollout", holdout=1_000, arms=(Arm("new", 10_000),))
    worse = crowd("new", 2_000, 400, degraded=True)
    tally = tally_of(*crowd("holdout", 300), *worse, one=rollout)
    (said,) = told(tally, Guard(degraded=500), rollout)
    assert "(20.0%) in new, 0 of 300 users (0.0%) in holdout" in said
