"""Lists that an evaluation left, read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.studies.written_lists import lists_of, read_written
from service.errors import InvalidInput


def test_lists_are_read_by_system_and_person(tmp_path: Path) -> None:
    path = tmp_path / "lists.jsonl"
    path.write_text('{"person": "ada", "queries": {"mine": ["fjord ferries"], "none": []}}\n')
    written = read_written(path)
    assert written == {"mine": {"ada": ("fjord ferries",)}, "none": {"ada": ()}}
    assert lists_of(written, "mine", path) == {"ada": ("fjord ferries",)}
    with pytest.raises(InvalidInput, match="no lists of his, but of mine, none; name one"):
        lists_of(written, "his", path)


@pytest.mark.parametrize("text", ["{", '{"user": "ada"}', "[]", '{"queries": {"mine": ["a"]}}'])
def test_another_file_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lists.jsonl"
    path.write_text(f'{{"person": "ada", "queries": {{}}}}\n{text}\n')
    with pytest.raises(InvalidInput) as raised:
        read_written(path)
    assert f"{path}:2: is no line of lists of people" in str(raised.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        read_written(tmp_path / "none.jsonl")
