"""A new file may ramp, pause and end an experiment; it may not move the enrolled between arms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.experiments.changes import forbidden
from service.experiments.definitions import Arm, Experiments, Status
from tests.unit.service.experiments.builders import experiment, layer

ARMS = (Arm("control", 5_000), Arm("other", 5_000, "small@10", {"diversity": 0.1}))
NOW = experiment(buckets=(1_000, 4_999), traffic=100, arms=ARMS)
PLACE = ("layers", 0, "experiments", 0)


def told(**changes: Any) -> list[tuple[tuple[str | int, ...], str]]:
    return forbidden(layer(NOW), layer(replace(NOW, **changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"traffic": 10_000},
        {"traffic": 0},
        {"status": Status.PAUSED},
        {"status": Status.STOPPED, "arms": ARMS[:1]},
        {"ends_ms": 1},
        {"allowlist": {"tester": "other"}},
        {"buckets": (0, 5_000)},
        {"key": "another", "arms": ARMS[:1]},
    ],
)
def test_what_moves_nobody_between_arms_is_allowed(changes: dict[str, Any]) -> None:
    assert told(**changes) == []


def with_arm(**changes: Any) -> dict[str, Any]:
    return {"arms": (ARMS[0], replace(ARMS[1], **changes))}


@pytest.mark.parametrize(
    ("changes", "place", "said"),
    [
        ({"kind": "rollout"}, ("kind",), "was ab"),
        ({"holdout": 100}, ("holdout",), "was 0%"),
        ({"buckets": (1_001, 4_999)}, ("buckets",), "were 1000 to 4999 and may only grow"),
        ({"buckets": (1_000, 4_998)}, ("buckets",), "may only grow"),
        ({"arms": ARMS[::-1]}, ("arms",), "were control, other, in this order"),
        ({"arms": (*ARMS, Arm("third", 1))}, ("arms",), "were control, other"),
        (with_arm(split=4_000), ("arms", 1, "split"), "was 50%"),
        (with_arm(student="small@11"), ("arms", 1, "student"), "was small@10"),
        (with_arm(fusion={}), ("arms", 1, "fusion"), "was {'diversity': 0.1}"),
        (with_arm(retrieval={"own_signals": 1}), ("arms", 1, "retrieval"), "was not there"),
        (with_arm(sampling={"top_p": 0.9}), ("arms", 1, "sampling"), "was not there"),
    ],
)
def test_what_must_stay_is_named_with_its_place_and_the_remedy(
    changes: dict[str, Any], place: tuple[str | int, ...], said: str
) -> None:
    ((keys, fault),) = told(**changes)
    assert keys == (*PLACE, *place)
    assert fault.startswith(said) or said in fault
    assert "under a new key" in fault


def test_a_paused_experiment_is_held_to_the_same() -> None:
    paused = replace(NOW, status=Status.PAUSED)
    assert forbidden(layer(paused), layer(replace(NOW, **with_arm(split=4_000))))
    stopped = replace(NOW, status=Status.STOPPED)
    assert not forbidden(layer(stopped), layer(replace(NOW, **with_arm(split=4_000))))


def test_a_layer_keeps_its_salt_while_an_experiment_of_it_goes_on() -> None:
    ((keys, fault),) = forbidden(layer(NOW), layer(NOW, salt="another"))
    assert keys == ("layers", 0, "salt")
    assert "was salt while e goes on" in fault
    ((keys, _),) = forbidden(layer(NOW), layer(NOW, name="another"))
    assert keys == (*PLACE, "key")
    assert forbidden(layer(NOW), Experiments()) == []
