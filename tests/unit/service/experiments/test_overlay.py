"""What is done by hand: it moves nobody to another arm, follows rules, and is kept as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidInput
from service.experiments.assign import Assigner
from service.experiments.definitions import Arm, Experiments, Status
from service.experiments.overlay import (
    LONGEST_WHY,
    Act,
    Action,
    Overlay,
    apply,
    decode,
    encode,
    next_action,
    standing,
    strangers,
)
from tests.unit.service.experiments.builders import NOW_MS, experiment, layer

shares = st.integers(0, 10_000)
users = st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=30)
words = st.text(st.characters(min_codepoint=32, exclude_categories=("C", "Z")), min_size=1)
actions = st.builds(
    Action,
    act=st.sampled_from(Act),
    by=words,
    why=words,
    at_ms=st.integers(0, NOW_MS),
    traffic=st.none() | shares,
    revision=st.integers(1, 1_000),
)


def action(act: Act, **more: Any) -> Action:
    return replace(Action(act, "anna", "errors in arm other", NOW_MS), **more)


def arms(found: Experiments, asked: list[str]) -> dict[str, str]:
    assigner = Assigner(found)
    places = {user: assigner.assign(user, NOW_MS) for user in asked}
    return {user: place[0].assigned for user, place in places.items() if place}


@given(users, shares, st.integers(1, 9_999), shares, actions)
def test_an_overlay_never_moves_an_enrolled_user_to_another_arm(
    asked: list[str], traffic: int, split: int, holdout: int, done: Action
) -> None:
    cut = (Arm("a", split), Arm("b", 10_000 - split))
    file = layer(experiment("e", traffic=traffic, arms=cut, holdout=holdout))
    before, after = arms(file, asked), arms(apply(file, Overlay({"e": done})), asked)
    assert all(after[user] == before[user] for user in before.keys() & after.keys())


@given(users, shares, shares)
def test_a_ramp_up_keeps_all_and_a_ramp_down_adds_nobody(
    asked: list[str], one: int, other: int
) -> None:
    low, high = sorted((one, other))
    up = apply(layer(experiment("e", traffic=low)), Overlay({"e": action(Act.RAMP, traffic=high)}))
    down = apply(
        layer(experiment("e", traffic=high)), Overlay({"e": action(Act.RAMP, traffic=low)})
    )
    few, many = layer(experiment("e", traffic=low)), layer(experiment("e", traffic=high))
    assert arms(up, asked) == arms(many, asked)
    assert arms(down, asked) == arms(few, asked)
    assert arms(few, asked).items() <= arms(up, asked).items()


@pytest.mark.parametrize(
    ("act", "status"),
    [
        (Act.PAUSE, Status.PAUSED),
        (Act.STOP, Status.STOPPED),
        (Act.RAMP, Status.RUNNING),
        (Act.RESUME, Status.RUNNING),
    ],
)
def test_each_action_has_its_effect_and_the_others_experiments_none(
    act: Act, status: Status
) -> None:
    file = layer(experiment("e"), experiment("other"), name="one")
    found = apply(file, Overlay({"e": action(act, traffic=500)})).by_key()
    assert (found["e"][1].status, found["e"][1].traffic) == (status, 500)
    assert found["other"][1] == file.by_key()["other"][1]


@given(actions)
def test_nothing_done_by_hand_starts_what_the_file_paused_or_stopped(done: Action) -> None:
    for status in (Status.PAUSED, Status.STOPPED):
        (_, one), *_ = (
            apply(layer(experiment("e", status=status)), Overlay({"e": done})).by_key().values()
        )
        assert one.status in (Status.PAUSED, Status.STOPPED)


def test_a_key_that_the_file_lacks_changes_nothing_and_is_named() -> None:
    file, overlay = layer(experiment("e")), Overlay({"gone": action(Act.STOP)})
    assert apply(file, overlay) == file
    assert strangers(file, overlay) == ["gone"]
    assert list(standing(file, overlay)) == []


def test_what_is_resumed_goes_on_with_the_share_it_had() -> None:
    ramped = next_action(None, action(Act.RAMP, traffic=500), "e")
    paused = next_action(ramped, action(Act.PAUSE), "e")
    resumed = next_action(paused, action(Act.RESUME), "e")
    assert [one.revision for one in (ramped, paused, resumed)] == [1, 2, 3]
    assert (resumed.traffic, resumed.effect) == (500, Act.RAMP)
    lower = next_action(paused, action(Act.RESUME, traffic=100), "e")
    assert lower.traffic == 100
    as_the_file = next_action(resumed, action(Act.RAMP, traffic=None), "e")
    assert as_the_file.effect is None


@pytest.mark.parametrize(
    ("before", "asked", "told"),
    [
        (None, Act.RESUME, "is not paused by hand"),
        (Act.RAMP, Act.RESUME, "is not paused by hand"),
        (Act.RESUME, Act.RESUME, "is not paused by hand"),
        (Act.PAUSE, Act.PAUSE, "paused by anna, 2026-09-21T14:13:20Z: errors in arm other"),
        (Act.PAUSE, Act.RAMP, "Resume it, with --traffic"),
        *((Act.STOP, asked, "begin another experiment under a new one") for asked in Act),
    ],
)
def test_what_cannot_follow_is_refused_with_what_was_done_or_the_remedy(
    before: Act | None, asked: Act, told: str
) -> None:
    with pytest.raises(InvalidInput, match=told) as refused:
        next_action(None if before is None else action(before), action(asked, traffic=1), "e")
    assert refused.value.field == "e"


@pytest.mark.parametrize("why", ["", " ", "two\nlines", "x" * (LONGEST_WHY + 1)])
def test_a_reason_is_one_short_line(why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        next_action(None, action(Act.PAUSE, why=why), "e")
    assert refused.value.field == "--why"


@given(actions)
def test_an_action_is_read_as_it_was_written(done: Action) -> None:
    assert decode(encode(done).encode()) == done


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"action": "explode"},
        {"by": 7},
        {"why": "two\nlines"},
        {"traffic": 10_001},
        {"traffic": -1},
        {"revision": "1"},
    ],
)
def test_what_is_no_action_is_refused(change: dict[str, object]) -> None:
    fields = json.loads(encode(action(Act.PAUSE))) | change
    for held in (json.dumps(fields).encode(), b"[]", b"", b"\xff"):
        with pytest.raises(ValueError, match=r".*"):
            decode(held)
