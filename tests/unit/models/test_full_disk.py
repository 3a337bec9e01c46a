"""Where the disk is full, each command says which of its own options names another place."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from models.evaluation.report.write import write_report
from models.evaluation.systems import Evaluation
from models.packaging import base
from models.packaging.build import build_student
from models.packaging.packaged import base_named_in
from models.packaging.registry import BASE_STUDENT, find_student
from service.errors import ConfigurationError

STUDENT = find_student(BASE_STUDENT).folder


@pytest.fixture(autouse=True)
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=0))


def untold(what: str, share: float) -> None:
    """Hears how far the work is."""


def test_building_a_student_says_into(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="choose another place with --into"):
        build_student(STUDENT, tmp_path / "built", untold)


def test_making_a_training_base_says_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = tmp_path / "base.gguf"
    packaged.touch()
    monkeypatch.setattr(base, "packaged_file", lambda named: packaged)
    with pytest.raises(ConfigurationError, match="choose another place with --base"):
        base.build_base(base_named_in(STUDENT), packaged, tmp_path / "base", untold)


def test_a_report_says_out(tmp_path: Path) -> None:
    nothing = Evaluation.__new__(Evaluation)
    with pytest.raises(ConfigurationError, match="choose another place with --out"):
        write_report(tmp_path / "report", {}, nothing)
