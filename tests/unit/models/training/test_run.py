"""What a training needs is looked for before it takes minutes, and nothing is written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from models.packaging.packaged import base_named_in
from models.packaging.registry import DEFAULT_STUDENT, STUDENTS, find_student
from models.training.run import Run, prepare
from models.training.run_folder import note_run
from models.training.sft.config import SftConfig
from service.errors import ConfigurationError

SHIPPED = find_student(DEFAULT_STUDENT).folder
PARTS = ("student.yaml", "template.yaml", "vocabulary.json")


def config(**changed: object) -> SftConfig:
    given = {
        "student": "mine/1",
        "articles": "articles.jsonl",
        "searches": "searches.jsonl",
        "mixes": {"easy": 3},
        "label": {"references": 8},
    }
    return SftConfig.model_validate({**given, **changed})


@pytest.fixture
def students(tmp_path: Path) -> Path:
    """A folder of students with one, which has what a training needs."""
    folder = tmp_path / "students" / "mine" / "1"
    folder.mkdir(parents=True)
    for name in PARTS:
        shutil.copy(SHIPPED / name, folder)
    return tmp_path / "students"


def prepared(students: Path, *, resume: bool = False, **changed: object) -> Run:
    place = students.parent
    return prepare(config(**changed), students, place / "base", place / "run", resume=resume)


def begun(students: Path, **changed: object) -> Path:
    """A run that has a checkpoint."""
    run = prepared(students, **changed)
    note_run(run.out, run.parts)
    checkpoint = run.out / "checkpoint-2"
    checkpoint.mkdir()
    (checkpoint / "trainer_state.json").write_text(json.dumps({"global_step": 2}))
    return checkpoint


def test_a_run_knows_its_base_by_the_students_manifest_and_writes_nothing(students: Path) -> None:
    run = prepared(students)
    assert run.packaged == base_named_in(SHIPPED)
    assert (run.last, run.begins_with) == (None, None)
    assert run.base == students.parent / "base" / "mine-1"
    assert [path.name for path in students.parent.iterdir()] == ["students"]


@pytest.mark.parametrize("name", PARTS)
def test_a_missing_part_of_the_student_is_named(students: Path, name: str) -> None:
    missing = students / "mine" / "1" / name
    missing.unlink()
    with pytest.raises(ConfigurationError) as caught:
        prepared(students)
    assert f"{missing} is missing" in str(caught.value)


def test_a_student_to_start_from_has_an_adapter(students: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"starts_from: .*adapter.safetensors is missing"):
        prepared(students, starts_from="mine/1")
    shipped = f"{SHIPPED.parent.name}/{SHIPPED.name}"
    adapter = STUDENTS / shipped / "adapter.safetensors"
    run = prepare(
        config(student=shipped, starts_from=shipped),
        STUDENTS,
        students,
        students / "run",
        resume=False,
    )
    assert run.begins_with == adapter


def test_a_run_goes_on_from_its_last_checkpoint(students: Path) -> None:
    checkpoint = begun(students)
    assert prepared(students, resume=True).last == checkpoint
    with pytest.raises(ConfigurationError, match="holds a run: add --resume"):
        prepared(students)


def test_a_run_may_go_on_with_other_looks_and_steps_but_nothing_else(students: Path) -> None:
    begun(students)
    prepared(students, resume=True, watch={"users": 5}, train={"most_steps": 9})
    with pytest.raises(ConfigurationError, match="was begun with another seed"):
        prepared(students, resume=True, seed=2)
    with pytest.raises(ConfigurationError, match="was begun with another train"):
        prepared(students, resume=True, train={"batch": 3})
