"""Prompts are drawn by what is still to be learnt from their like."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from models.training.grpo.curriculum import Curriculum

KINDS = ["ada", "ada", "ben", "ben"]


def test_prompts_of_a_kind_whose_lists_differ_come_more_often() -> None:
    curriculum = Curriculum(KINDS, seed=1)
    curriculum.learn(0, 0.5)
    curriculum.learn(2, 0.0)
    drawn = Counter(KINDS[number] for _ in range(300) for number in curriculum.draw(1))
    assert drawn["ada"] > 4 * drawn["ben"] > 0


def test_nothing_is_drawn_twice_before_everything_was() -> None:
    curriculum = Curriculum(KINDS, seed=1)
    assert sorted(curriculum.draw(4)) == [0, 1, 2, 3]
    assert sorted(Counter(curriculum.draw(6)).values()) == [1, 1, 2, 2]


def test_what_was_learnt_long_ago_is_forgotten() -> None:
    curriculum = Curriculum(["ada", "ben"], seed=1)
    curriculum.learn(0, 1.0)
    for _ in range(12):
        curriculum.learn(0, 0.0)
        curriculum.learn(1, 0.2)
    drawn = Counter(number for _ in range(200) for number in curriculum.draw(1))
    assert drawn[1] > drawn[0]


def test_groups_that_all_agree_leave_every_prompt_a_chance() -> None:
    curriculum = Curriculum(["ada", "ben"], seed=1)
    for number in (0, 1):
        curriculum.learn(number, 0.0)
    assert {number for _ in range(50) for number in curriculum.draw(1)} == {0, 1}


def test_it_goes_on_from_its_state_as_if_it_had_not_stopped() -> None:
    before = Curriculum(KINDS, seed=1)
    before.learn(0, 0.4)
    before.draw(3)
    after = Curriculum(KINDS, seed=2)
    after.restore(json.loads(json.dumps(before.state())))
    assert [after.draw(2) for _ in range(5)] == [before.draw(2) for _ in range(5)]


@pytest.mark.parametrize("state", [{}, {"random": [3, [], None]}, {"random": 1}])
def test_another_state_is_refused(state: dict[str, object]) -> None:
    with pytest.raises((ValueError, LookupError, TypeError)):
        Curriculum(KINDS, seed=1).restore(state)
