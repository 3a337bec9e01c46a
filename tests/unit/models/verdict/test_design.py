"""Which arm is the control, which shares were planned, and when nothing can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest

from models.verdict.design import design, planned
from service.errors import InvalidInput
from service.experiments.definitions import Arm, Experiment, Status
from tests.unit.service.experiments.builders import file_of, written


def experiment(*arms: tuple[str, int], kind: Literal["ab", "rollout"] = "ab") -> Experiment:
    found = tuple(Arm(name, split) for name, split in arms)
    return Experiment("key", kind, Status.RUNNING, (0, 9_999), 10_000, found, holdout=1_000)


def test_the_control_is_the_first_arm_of_the_file() -> None:
    found = design("key", {"a", "b", "holdout"}, experiment(("b", 9_000), ("a", 1_000)))
    assert found.control == "b"
    assert found.others == ("a", "holdout")
    assert found.shares == {"b": 9_000, "a": 1_000}


def test_an_arm_of_the_file_that_nobody_got_is_checked_all_the_same() -> None:
    three = experiment(("a", 4_000), ("b", 4_000), ("c", 2_000))
    found = design("key", {"a", "b"}, three)
    assert found.others == ("b",)
    assert set(found.shares) == {"a", "b", "c"}


def test_a_rollout_is_compared_with_its_holdout_whose_share_is_not_fixed() -> None:
    rollout = experiment(("base", 10_000), kind="rollout")
    for found in (
        design("key", {"base", "holdout"}, rollout),
        design("key", {"base", "holdout"}),
    ):
        assert (found.control, found.others, found.shares) == ("holdout", ("base",), {})
        assert "traffic" in found.note


@pytest.mark.parametrize(
    ("arms", "control"),
    [(("a", "control"), "control"), (("b", "a"), "a"), (("a", "b", "holdout"), "holdout")],
)
def test_without_a_file_a_control_and_equal_shares_are_taken_and_said(
    arms: Sequence[str], control: str
) -> None:
    found = design("key", arms)
    assert found.control == control
    assert set(found.shares) == set(arms) - {"holdout"}
    assert len(set(found.shares.values())) == 1
    assert control in found.note


@pytest.mark.parametrize(
    ("arms", "told"),
    [
        ((), "no user is left"),
        (("base",), "one arm in these events, base: .* give it one"),
        (("a", "c"), "the events have the arm c, the file has a, b"),
        (("b", "holdout"), "no user of these events is in the control, a"),
    ],
)
def test_what_cannot_be_compared_is_said(arms: Sequence[str], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        design("key", arms, experiment(("a", 5_000), ("b", 5_000)))


def test_a_file_is_read_without_knowing_the_students(tmp_path: Path) -> None:
    path = file_of(tmp_path, written())
    assert planned(path, "small-10").arms[1].student == "small@10"
    with pytest.raises(InvalidInput, match=r"has no experiment nonsense; .*: small-10"):
        planned(path, "nonsense")


def test_there_is_no_verdict_on_a_shadow(tmp_path: Path) -> None:
    arms = [{"name": "dark", "student": "small@9"}]
    file = file_of(tmp_path, written(kind="shadow", arms=arms))
    with pytest.raises(InvalidInput, match=r"small-10 is a shadow: .*`shadows` of the export"):
        planned(file, "small-10")
