"""A full disk ends a training in one line that says what to do; nothing is begun without room."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from models.commands import train
from models.simulation import files as world_files
from models.training.sft import train as sft
from service.errors import ConfigurationError, InvalidInput

CONFIG = Path("models/configs/interests-small.yaml")


def free(mib: int) -> Callable[[object], SimpleNamespace]:
    return lambda path: SimpleNamespace(free=mib * 2**20)


def begin(tmp_path: Path) -> None:
    train.sft(CONFIG, tmp_path, tmp_path / "run", tmp_path / "base", tmp_path / "cache", False)


def test_without_room_for_its_checkpoints_a_training_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", free(50))
    with pytest.raises(InvalidInput, match="50 MiB are free") as raised:
        begin(tmp_path)
    assert raised.value.field == "--out"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("error", "left", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 9_000, "No space left on device"),
        (RuntimeError("[enforce fail at inline_container.cc] . unexpected pos"), 1, "disk is full"),
    ],
)
def test_a_disk_that_fills_up_is_said_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, left: int, says: str
) -> None:
    def fills_up(*_: object, **__: object) -> None:
        monkeypatch.setattr(shutil, "disk_usage", free(left))
        raise error

    monkeypatch.setattr(world_files, "open_world", lambda *_: None)
    monkeypatch.setattr(sft, "train_student", fills_up)
    with pytest.raises(ConfigurationError, match=says) as raised:
        begin(tmp_path)
    assert "--resume" in str(raised.value)


def test_an_error_of_another_kind_is_not_called_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(world_files, "open_world", lambda *_: None)
    monkeypatch.setattr(sft, "train_student", breaks)
    with pytest.raises(RuntimeError, match="shapes differ"):
        begin(tmp_path)
