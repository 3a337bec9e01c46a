"""Libraries are imported without what is not used, and whoever wants that later finds it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from service.libraries import models_built_when_used, without


@pytest.fixture
def optional(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that can be imported, and has not been."""
    name = "optional_part_of_a_library"
    (tmp_path / f"{name}.py").write_text("there = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def test_a_module_is_missing_for_the_block_and_there_behind_it(optional: str) -> None:
    with without(optional), pytest.raises(ModuleNotFoundError):
        __import__(optional)
    assert __import__(optional).there


def test_a_module_that_is_imported_already_stays(optional: str) -> None:
    module = __import__(optional)
    with without(optional):
        assert __import__(optional) is module
    assert sys.modules[optional] is module


def test_models_made_in_the_block_are_built_at_their_first_use_and_others_at_once() -> None:
    with models_built_when_used():

        class Later(BaseModel):
            number: int

    class AtOnce(BaseModel):
        number: int

    assert not Later.__pydantic_complete__
    assert AtOnce.__pydantic_complete__
    assert Later(number="1").number == 1  # type: ignore[arg-type]
    assert Later.__pydantic_complete__
