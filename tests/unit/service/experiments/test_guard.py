"""The guard of an experiment in a file: what it may say, and what it is read as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.experiments.changes import forbidden
from service.experiments.definitions import Guard
from service.experiments.file import RefusedFile, read_experiments
from tests.unit.service.experiments.builders import can, file_of, written

ROLLOUT = {"kind": "rollout", "arms": [{"name": "new", "student": "small@10"}]}


@pytest.mark.parametrize(
    ("changes", "place", "told"),
    [
        ({"guard": {}}, "guard", "guards against nothing"),
        ({"guard": {"degraded": "5"}}, "guard.degraded", "with its sign"),
        ({"guard": {"slow": {"ms": 800}}}, "guard.slow.more", "is missing"),
        ({"guard": {"slow": {"ms": 0, "more": "5%"}}}, "guard.slow.ms", "greater than 0"),
        ({"guard": {"sampl_ratio": True}}, "guard.sampl_ratio", "did you mean sample_ratio?"),
        ({"guard": {"slow": {"mss": 1}}}, "guard.slow.mss", "did you mean ms?"),
        ({**ROLLOUT, "guard": {"sample_ratio": True}}, "guard.sample_ratio", "leave it out"),
        ({**ROLLOUT, "guard": {"empty": "5%"}}, "guard", "give it a holdout"),
        ({"kind": "shadow", "guard": {"empty": "5%"}}, "guard", "it can do no harm: leave"),
    ],
)
def test_a_guard_that_cannot_be_kept_is_told(
    tmp_path: Path, changes: dict[str, Any], place: str, told: str
) -> None:
    with pytest.raises(RefusedFile) as refused:
        read_experiments(file_of(tmp_path, written(**changes)), can())
    assert any(f".{place}: " in fault and told in fault for fault in refused.value.faults)


def test_a_guard_is_read_in_points_and_may_change_while_the_experiment_goes_on(
    tmp_path: Path,
) -> None:
    guard = {"sample_ratio": True, "degraded": "5%", "slow": {"ms": 800, "more": "2.5%"}}
    found = read_experiments(file_of(tmp_path, written(guard=guard)), can()).experiments
    (_, one), *_ = found.by_key().values()
    assert one.guard == Guard(True, degraded=500, empty=None, slow=250, slow_ms=800)
    without = read_experiments(file_of(tmp_path, written()), can()).experiments
    assert forbidden(found, without) == forbidden(without, found) == []


def test_what_arms_ask_for_need_not_be_there_for_those_who_only_count(tmp_path: Path) -> None:
    arms = [{"name": "control", "split": "50%"}, {"name": "b", "split": "50%", "student": "x@1"}]
    path = file_of(tmp_path, written(arms=arms))
    assert read_experiments(path, None).experiments.by_key().keys() == {"small-10"}
