"""A training's configuration says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.packaging.registry import DEFAULT_STUDENT, find_student
from models.training.sft.config import load_config
from models.training.sft.reference_labels import ReferenceForm
from service.errors import ConfigurationError

SHIPPED = find_student(DEFAULT_STUDENT)
USUAL = ("student: a/1", "articles: a", "searches: b", "mixes: {hard: 3}", "label: {references: 8}")


def test_the_shipped_students_configuration_is_of_that_student() -> None:
    config = load_config(SHIPPED.folder / "training.yaml")
    assert config.student == f"{SHIPPED.manifest.name}/{SHIPPED.manifest.version}"
    assert config.budget == SHIPPED.manifest.prompt_budget
    assert config.label == ReferenceForm(8, news_first=True, least=3)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("studnet: a/1", r"studnet: is not a field of a configuration"),
        ("student: nowhere", r"student: String should match"),
        ("mixes: {harder: 3}", r"mixes\.harder"),
        ("lora: {rank: 0}", r"lora\.rank: Input should be greater"),
        ("train: {batch: many}", r"train\.batch"),
        ("label: {references: many}", r"label\.references"),
        (
            "label: {news_first: true}",
            r"label\.references: is missing",
        ),
        ("label: {references: 8, said: 3}", r"label\.said"),
        ("label: {references: 8, near: 0.2}", r"label\.near"),
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
    kept = [usual for usual in USUAL if usual.split(":")[0] != line.split(":")[0]]
    path.write_text("\n".join([*kept, line]))
    with pytest.raises(ConfigurationError, match=says) as raised:
        load_config(path)
    assert str(path) in str(raised.value)


ASKED_FOR = {
    "searches": "mixes need label and searches",
    "label": "mixes need label and searches",
    "mixes": "nobody teaches: give people, or mixes",
}


@pytest.mark.parametrize("field", [line.split(":")[0] for line in USUAL])
def test_what_cannot_be_left_out_is_asked_for(tmp_path: Path, field: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("\n".join(usual for usual in USUAL if not usual.startswith(f"{field}:")))
    with pytest.raises(
        ConfigurationError, match=ASKED_FOR.get(field, f"{field}: is missing; add it")
    ):
        load_config(path)
