"""A full disk ends a training in one line that says what to do; nothing is begun without room."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from models.commands import train
from models.packaging.registry import DEFAULT_STUDENT, STUDENTS, find_student
from models.simulation import files as world_files
from models.training.sft import train as trainings
from service.errors import ConfigurationError, InterestsError

CONFIG = find_student(DEFAULT_STUDENT).folder / "training.yaml"


def free(mib: int) -> Callable[[object], SimpleNamespace]:
    return lambda path: SimpleNamespace(free=mib * 2**20)


def begin(place: Path) -> None:
    train.sft(
        CONFIG,
        place,
        STUDENTS,
        place / "run",
        place / "base",
        place / "people",
        place / "world",
        place / "cache",
        False,
    )


def failing_with(monkeypatch: pytest.MonkeyPatch, error: Exception, left_mib: int) -> None:
    """A training that fails so, and leaves so much room on the disk."""

    def fails(*_: object) -> None:
        monkeypatch.setattr(shutil, "disk_usage", free(left_mib))
        raise error

    monkeypatch.setattr(world_files, "open_world", lambda *_: None)
    monkeypatch.setattr(trainings, "train_student", fails)


def test_without_room_for_its_checkpoints_a_training_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", free(50))
    with pytest.raises(InterestsError) as raised:
        begin(tmp_path)
    line = raised.value.line()
    assert f"{tmp_path / 'run'}: 700 MiB are needed, 50 MiB are free" in line
    assert "choose another place with --out" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "left_mib", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 9_000, "No space left on device"),
        (RuntimeError("[enforce fail at inline_container.cc] . unexpected pos"), 1, "disk is full"),
    ],
)
def test_a_disk_that_fills_up_is_said_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, left_mib: int, says: str
) -> None:
    failing_with(monkeypatch, error, left_mib)
    with pytest.raises(ConfigurationError, match=says) as raised:
        begin(tmp_path)
    assert "--resume" in str(raised.value)


def test_an_error_of_another_kind_is_not_called_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_with(monkeypatch, RuntimeError("shapes differ"), 9_000)
    with pytest.raises(RuntimeError, match="shapes differ"):
        begin(tmp_path)


def test_an_error_of_ours_is_said_as_it_is_whatever_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_with(monkeypatch, ConfigurationError("nearly the same list for everybody"), 1)
    with pytest.raises(ConfigurationError, match=r"^nearly the same list for everybody$"):
        begin(tmp_path)


def test_a_missing_library_is_said_with_the_environment_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_with(monkeypatch, ModuleNotFoundError("No module named 'trl'", name="trl"), 9_000)
    with pytest.raises(ConfigurationError, match=r"trl is not installed here; .*make train"):
        begin(tmp_path)
