"""Room on the disk is looked for before anything is made."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from service.errors import ConfigurationError
from service.folders import complete_folder, free_bytes, require_room


def test_a_full_disk_is_named_with_what_is_needed_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=3 * 2**20))
    place = tmp_path / "not" / "made" / "yet"
    with pytest.raises(ConfigurationError, match="4 MiB are needed, 3 MiB are free; sweep up"):
        require_room(place, 4 * 2**20, "sweep up")
    require_room(place, 3 * 2**20, "sweep up")
    assert free_bytes(place) == 3 * 2**20
    with (
        pytest.raises(ConfigurationError, match="MiB are free; sweep up"),
        complete_folder(place, 1, "sweep up"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    target = tmp_path / "student"
    for name in ("one", "two"):
        with complete_folder(target, 1, "sweep up") as aside:
            (aside / name).touch()
    assert [path.name for path in target.iterdir()] == ["two"]

    def fail() -> None:
        with complete_folder(target, 1, "sweep up") as aside:
            (aside / "three").touch()
            raise OSError(28, "No space left on device")

    with pytest.raises(ConfigurationError, match="No space left on device; sweep up"):
        fail()
    assert [path.name for path in target.iterdir()] == ["two"]
    assert [path.name for path in tmp_path.iterdir()] == ["student"]
