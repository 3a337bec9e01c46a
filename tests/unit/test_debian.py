"""Programs for tests: on PATH, unpacked beside the checkout, or missing with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import debian
from tests.parts.require import Missing


@pytest.fixture(autouse=True)
def nothing_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(debian, "BIN", tmp_path / "bin")


def test_a_program_that_was_unpacked_is_found(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "promtool").touch()
    assert debian.find_program("promtool", "prometheus") == tmp_path / "bin" / "promtool"


def test_a_missing_program_is_named_with_what_to_do() -> None:
    with pytest.raises(Missing, match=r"promtool: install prometheus, or run `python -m tests"):
        debian.find_program("promtool", "prometheus")


def test_where_there_is_no_apt_nothing_is_fetched() -> None:
    with pytest.raises(Missing, match="promtool: install prometheus and put it on PATH"):
        debian.fetch_program("promtool", "prometheus")
