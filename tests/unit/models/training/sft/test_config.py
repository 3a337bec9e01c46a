"""A training's configuration says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.training.run_folder import last_checkpoint
from models.training.sft.config import load_config
from models.training.sft.train import ADAPTER
from service.errors import ConfigurationError

SHIPPED = Path("models/configs/interests-small.yaml")


def test_the_shipped_configuration_is_whole() -> None:
    config = load_config(SHIPPED)
    assert (Path("models/students") / config.student / "template.yaml").is_file()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("studnet: a/1", r"studnet: is not a field of a configuration"),
        ("student: nowhere", r"student: String should match"),
        ("mixes: {harder: 3}", r"mixes\.harder"),
        ("lora: {rank: 0}", r"lora\.rank: Input should be greater"),
        ("train: {batch: many}", r"train\.batch"),
        ("label: {said: many}", r"label.*said"),
        ("label: {references: 8, said: 3}", r"label.*said"),
        ("mixes: {hard: 0}", r"mixes\.hard: Input should be greater"),
        (
            "verdict: {layer: 6}\nlora: {first_layer: 6}",
            r"no layer up to it is trained.*first_layer",
        ),
        ("verdict: {weight: 0}", r"verdict\.weight: Input should be greater"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "run.yaml"
    kept = [
        one
        for one in ("student: a/1", "articles: a", "searches: b", "mixes: {hard: 3}")
        if one.split(":")[0] != line.split(":")[0]
    ]
    path.write_text("\n".join([*kept, line]))
    with pytest.raises(ConfigurationError, match=says) as raised:
        load_config(path)
    assert str(path) in str(raised.value)


def test_a_folder_with_a_run_is_not_overwritten_unasked(tmp_path: Path) -> None:
    for step in (50, 100):
        (tmp_path / f"checkpoint-{step}").mkdir()
        state = json.dumps({"global_step": step})
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-150").mkdir()  # torn: the machine stopped while it was written
    (tmp_path / "checkpoint-200").mkdir()
    (tmp_path / "checkpoint-200" / "trainer_state.json").write_text('{"global_st')
    with pytest.raises(ConfigurationError, match="--resume"):
        last_checkpoint(tmp_path, resume=False)
    assert last_checkpoint(tmp_path, resume=True) == tmp_path / "checkpoint-100"


def test_there_is_nothing_to_resume_in_an_empty_folder(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path, resume=False) is None
    with pytest.raises(ConfigurationError, match="no checkpoint"):
        last_checkpoint(tmp_path, resume=True)
    assert not (tmp_path / ADAPTER).exists()
