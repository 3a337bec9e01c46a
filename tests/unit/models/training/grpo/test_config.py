"""The configuration of a training by rewards says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.rewards.terms import REWARDS
from models.training.grpo.config import load_config
from service.errors import ConfigurationError

USUAL = ("student: a/2", "starts_from: a/1", "articles: a", "people: {views: 8}")


def written(folder: Path, *lines: str) -> Path:
    path = folder / "run.yaml"
    changed = {line.split(":")[0] for line in lines}
    kept = [line for line in USUAL if line.split(":")[0] not in changed]
    path.write_text("\n".join([*kept, *lines]))
    return path


def test_every_reward_counts_where_nothing_is_said(tmp_path: Path) -> None:
    config = load_config(written(tmp_path))
    assert config.rewards == {name: reward.weight for name, reward in REWARDS.items()}


def test_a_reward_that_is_not_named_counts_nothing(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "rewards: {form: 1}")).rewards == {"form": 1.0}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("rewards: {relevence: 1}", r"relevence: there is no such reward; there are relevance"),
        ("rewards: {form: -1}", r"form: -1\.0 is no weight"),
        ("rewards: {form: .nan}", r"form: nan is no weight"),
        ("rewards: {}", "is empty; name some of"),
        ("group: {lists: 1}", r"group\.lists: Input should be greater"),
        ("train: {together: 3}", "does not divide group.prompts"),
        ("train: {kl: -0.1}", r"train\.kl"),
        ("starts_from: nowhere", r"starts_from: String should match"),
        ("people: {views: 0}", r"people\.views"),
        ("label: {references: 8}", "label: is not a field"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = written(tmp_path, line)
    with pytest.raises(ConfigurationError, match=says) as raised:
        load_config(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("missing", ["student", "starts_from", "articles", "people"])
def test_what_is_missing_is_named(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("\n".join(line for line in USUAL if line.split(":")[0] != missing))
    with pytest.raises(ConfigurationError, match=f"{missing}: is missing"):
        load_config(path)
