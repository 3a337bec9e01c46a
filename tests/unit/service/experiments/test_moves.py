"""What a new file changes for users is reckoned, and is what happens to real ids."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.experiments.assign import Assigner
from service.experiments.definitions import Arm, Experiments, Status
from service.experiments.moves import Moves, moves
from tests.unit.service.experiments.builders import NOW_MS, experiment, layer

USERS = [f"user-{number}" for number in range(20_000)]
NOW = experiment(traffic=5_000, buckets=(0, 7_999), holdout=1_000)


def counted(now: Experiments, new: Experiments) -> tuple[float, float, float]:
    """Points of the users who enter, leave and change arms; the held out are in no arm."""
    before, after = Assigner(now), Assigner(new)
    found = [0, 0, 0]
    for user in USERS:
        was, will = (
            {place.arm.name for place in one.assign(user, NOW_MS) if place.arm is not None}
            for one in (before, after)
        )
        kind = 0 if will and not was else 1 if was and not will else 2
        found[kind] += was != will
    entering, leaving, moving = (count / len(USERS) * 10_000 for count in found)
    return entering, leaving, moving


@pytest.mark.parametrize(
    ("changes", "salt"),
    [
        ({"traffic": 8_000}, "salt"),
        ({"traffic": 100}, "salt"),
        ({"status": Status.STOPPED}, "salt"),
        ({"holdout": 3_000, "buckets": (1_000, 9_999)}, "salt"),
        ({"arms": (Arm("control", 3_000), Arm("other", 7_000))}, "salt"),
        ({"arms": (Arm("other", 5_000), Arm("control", 5_000))}, "salt"),
        ({}, "another-salt"),
    ],
)
def test_the_reckoned_shares_are_those_of_real_users(changes: dict[str, Any], salt: str) -> None:
    now, new = layer(NOW), layer(replace(NOW, **changes), salt=salt)
    (one,) = moves(now, new, NOW_MS)
    for reckoned, found in zip(
        (one.entering, one.leaving, one.moving), counted(now, new), strict=True
    ):
        assert reckoned == pytest.approx(found, abs=120)


def test_a_ramp_is_exact() -> None:
    new = layer(replace(NOW, traffic=6_000))
    assert moves(layer(NOW), new, NOW_MS) == [Moves("e", 720.0, 0.0, 0.0)]


def test_a_file_that_moves_nobody_has_no_moves() -> None:
    assert moves(layer(NOW), layer(replace(NOW, ends_ms=NOW_MS + 1)), NOW_MS) == []
    assert moves(Experiments(), Experiments(), NOW_MS) == []


def test_a_shadow_moves_nobody() -> None:
    assert moves(Experiments(), layer(replace(NOW, kind="shadow")), NOW_MS) == []
