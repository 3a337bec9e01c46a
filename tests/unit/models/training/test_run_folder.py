"""A run's folder is not overwritten unasked, and not gone on with by another run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.training.run_folder import last_checkpoint, made_of, note_run, require_same_run
from service.errors import ConfigurationError

SETTINGS = {"seed": 1, "mixes": {"easy": 3}}


@pytest.fixture
def student(tmp_path: Path) -> Path:
    """A folder with what a run's note takes checksums of."""
    folder = tmp_path / "student"
    folder.mkdir()
    for name in ("template.yaml", "vocabulary.json", "adapter.safetensors"):
        (folder / name).write_text(f"some {name}")
    return folder


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


def test_a_run_is_gone_on_with_by_what_it_was_begun_with(tmp_path: Path, student: Path) -> None:
    out = tmp_path / "run"
    parts = made_of(SETTINGS, student, student / "adapter.safetensors")
    note_run(out, parts)
    require_same_run(out, parts)
    assert [path.name for path in out.iterdir()] == ["run.json"]


@pytest.mark.parametrize("name", ["template.yaml", "vocabulary.json", "adapter.safetensors"])
def test_another_file_of_the_student_is_named(tmp_path: Path, student: Path, name: str) -> None:
    adapter = student / "adapter.safetensors"
    note_run(tmp_path, made_of(SETTINGS, student, adapter))
    (student / name).write_text("another")
    part = "begins_with" if name == adapter.name else name
    with pytest.raises(ConfigurationError, match=f"begun with another {part}; put that back"):
        require_same_run(tmp_path, made_of(SETTINGS, student, adapter))


def test_every_setting_that_differs_is_named(tmp_path: Path, student: Path) -> None:
    note_run(tmp_path, made_of(SETTINGS, student))
    other = made_of({"seed": 2, "mixes": {"easy": 4}}, student)
    with pytest.raises(ConfigurationError, match="begun with another mixes, seed"):
        require_same_run(tmp_path, other)
