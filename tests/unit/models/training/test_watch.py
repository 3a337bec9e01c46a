"""One list for everybody is failure, whatever the loss says."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.training.watch import Look, Watch, Watched, look_at
from service.errors import ConfigurationError
from service.records import Signal


def watched(*texts: str) -> list[Watched]:
    return [Watched((1,), (Signal(0, "search", text, f"s{i}"),)) for i, text in enumerate(texts)]


def test_the_same_list_for_everybody_is_seen() -> None:
    seen = look_at([("trump news", True), ("Trump news ", True)], watched("ferry", "bread"), 7)
    assert seen.distinct == 0.5
    assert seen.own_words == 0
    assert seen.step == 7


def test_the_same_references_are_different_lists_of_different_users() -> None:
    seen = look_at([("#1", True), (" #1", True)], watched("ferry", "bread"), 7)
    assert seen.distinct == 1


def test_lines_that_say_the_same_again_are_counted() -> None:
    seen = look_at(
        [("ferry strike\nferry strike island\nbread prize", True)], watched("ferry strike"), 1
    )
    assert seen.repeated == pytest.approx(1 / 3)
    assert seen.lines == 3


def test_words_that_the_signals_hold_are_told_from_others() -> None:
    seen = look_at([("ferry strike", True)], watched("the ferry"), 1)
    assert seen.own_words == 0.5


def test_a_list_that_the_service_could_not_use_is_not_valid() -> None:
    assert look_at([("", True), ("ferry strike", True)], watched("a", "b"), 1).valid == 0.5


@pytest.mark.parametrize(
    ("distinct", "stops"),
    [([0.1], False), ([0.1, 0.2], True), ([0.1, 0.9], False), ([0.9, 0.1, 0.1], True), ([], False)],
)
def test_training_stops_after_two_looks_in_a_row(distinct: list[float], stops: bool) -> None:
    looks = [Look(i, value, 1, 0, 0, 1) for i, value in enumerate(distinct)]
    assert Watch(looks).collapsed(0.6, 2) is stops


def test_looks_after_the_checkpoint_are_taken_again() -> None:
    watch = Watch([Look(step, 0.1, 1, 0, 0, 1) for step in (75, 150)])
    watch.forget_after(100)
    assert [seen.step for seen in watch.looks] == [75]


def test_a_watch_is_kept_across_an_interruption(tmp_path: Path) -> None:
    watch = Watch([Look(5, 0.5, 1, 0.2, 0, 2.5)], [(5, 3.25)])
    watch.save(tmp_path / "watch.json")
    assert Watch.load(tmp_path / "watch.json") == watch
    assert Watch.load(tmp_path / "none.json") == Watch()
    assert [path.name for path in tmp_path.iterdir()] == ["watch.json"]


OLD = '{"step": 5, "distinct": 1, "valid": 1, "copied": 1, "repeated": 0, "lines": 1}'


@pytest.mark.parametrize(
    "content",
    [f'{{"looks": [{OLD}], "losses": []}}', '{"losses": []}', "[]", "{"],
    ids=["of an earlier version", "without looks", "a list", "torn"],
)
def test_a_record_that_this_version_did_not_write_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "watch.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        Watch.load(path)
    assert f"{path}: is not what this version of the training writes" in str(caught.value)
    assert "--out" in str(caught.value)
