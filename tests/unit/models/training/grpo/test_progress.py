"""What a training by rewards keeps of its steps and looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.training.grpo.plots import plot_progress, smoothed
from models.training.grpo.progress import Progress, Rewarded
from models.training.watch import Look
from service.errors import ConfigurationError


def look(step: int, distinct: float = 1.0) -> Rewarded:
    return Rewarded(step, 0.5, {"form": 0.5}, Look(step, distinct, 1.0, 0.2, 0.0, 3.0))


LOGGED = [
    {"step": 1, "reward": 0.4, "rewards/form/mean": 0.4, "rewards/form/std": 0.1, "kl": 0.01},
    {"step": 2, "reward": 0.6, "rewards/form/mean": None, "completions/mean_length": 12.5},
    {"step": 2, "train_runtime": 60.0},
]


def test_each_step_keeps_its_rewards_and_a_reward_that_nobody_could_be_told_is_left_out() -> None:
    progress = Progress()
    progress.note_steps(LOGGED)
    assert progress.steps == [
        {"step": 1, "kl": 0.01, "rewards/form": 0.4},
        {"step": 2, "tokens": 12.5},
    ]


def test_what_was_kept_is_read_again(tmp_path: Path) -> None:
    progress = Progress(looks=[look(0), look(10)])
    progress.note_steps(LOGGED)
    progress.save(tmp_path / "progress.json")
    assert Progress.load(tmp_path / "progress.json") == progress
    assert Progress.load(tmp_path / "none.json") == Progress()


@pytest.mark.parametrize("text", ["{", "[]", '{"steps": [], "looks": [{"step": 1}]}'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "progress.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="start anew with another --out"):
        Progress.load(path)


def test_looks_that_a_resumed_run_takes_again_are_dropped() -> None:
    progress = Progress(looks=[look(0), look(10), look(20)])
    progress.forget_after(10)
    assert [one.step for one in progress.looks] == [0, 10]


def test_the_same_list_for_everybody_twice_is_a_collapse() -> None:
    assert not Progress(looks=[look(0, 0.1), look(10, 0.9)]).collapsed(0.6, 2)
    assert not Progress(looks=[look(10, 0.1)]).collapsed(0.6, 2)
    assert Progress(looks=[look(0), look(10, 0.1), look(20, 0.2)]).collapsed(0.6, 2)


def test_a_look_says_its_rewards() -> None:
    assert str(look(10)).startswith(
        "tune people: reward 0.500 (form 0.500); step 10: distinct 1.00"
    )


def test_a_line_is_the_mean_of_what_came_before() -> None:
    assert smoothed([1, 2, 3, 4], 2) == [1, 1.5, 2.5, 3.5]


@pytest.mark.parametrize("progress", [Progress(), Progress(looks=[look(0), look(10)])])
def test_a_picture_is_drawn_of_whatever_there_is(tmp_path: Path, progress: Progress) -> None:
    pytest.importorskip("matplotlib")
    progress.note_steps(LOGGED if progress.looks else [])
    plot_progress(progress, tmp_path / "training.png")
    assert (tmp_path / "training.png").stat().st_size > 1_000
