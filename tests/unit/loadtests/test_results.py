from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from loadtests.rig import machine
from loadtests.rig.machine import Machine, describe
from loadtests.rig.plots import of_rounds, of_shares
from loadtests.rig.results import Result, command_line
from loadtests.rig.rounds import Measured
from service.errors import ConfigurationError

HERE = Machine("a CPU", 2, 8.0, "6.1", "3.12", {"uvloop": "0.21"}, "6.2", "abc, changed", 0.1)
MEASURED = Measured({"floor": [{"answers/s": 4.0}], "gateway": [{"answers/s": 2.0}]})


def result(**more: Any) -> Result:
    rows = [["floor", "4.0"], ["gateway", "2.0"]]
    given = {"heads": ["side", "answers/s"], "rows": rows, "data": MEASURED.turns}
    return Result("try", "A try", **{**given, "said": ["Half of the floor."], **more})


def test_one_call_writes_numbers_page_and_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["loadtests/reused.py", "--against", "/home/me/before"])
    paths = result(draw=of_rounds(MEASURED, "answers/s")).write(HERE, tmp_path / "new")
    assert [path.name for path in paths] == ["try.json", "try.svg", "try.md"]
    whole = orjson.loads(paths[0].read_bytes())
    assert whole["data"] == MEASURED.turns
    assert whole["machine"]["cpu"] == "a CPU"
    page = paths[2].read_text()
    assert "| side | answers/s |\n| --- | ---: |\n| floor | 4.0 |" in page
    assert "Half of the floor." in page
    assert "commit abc, changed" in page
    assert "![A try](try.svg)" in page
    assert paths[1].read_bytes().startswith(b"<?xml")
    for path in paths:
        assert "/home/me" not in path.read_text()


def test_the_same_numbers_give_the_same_plot(tmp_path: Path) -> None:
    draw = of_shares({"gateway": [1.0, 2.0, 4.0]})
    one = result(draw=draw).write(HERE, tmp_path / "one")[1]
    two = result(draw=draw).write(HERE, tmp_path / "two")[1]
    assert one.read_bytes() == two.read_bytes()


def test_a_missing_library_is_one_line_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError("no", name="matplotlib")
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=r"matplotlib is not .*interests\[report\]"):
        result(draw=of_rounds(MEASURED, "answers/s")).write(HERE, tmp_path)
    assert not list(tmp_path.iterdir())
    assert len(result().write(HERE, tmp_path)) == 2


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--rounds", "7"], "--rounds 7"),
        (["--student", "/home/me/student.yaml"], "--student …"),
        (["--against=../before"], "--against=…"),
        (["--results", "~/here"], "--results …"),
    ],
)
def test_a_command_is_shown_without_the_paths_of_a_machine(words: list[str], shown: str) -> None:
    argv = [str(machine.ROOT / "loadtests" / "reused.py"), *words]
    assert command_line(argv) == f"python -m loadtests.reused {shown}"


def test_this_machine_is_described_without_its_name() -> None:
    import socket

    found = describe()
    assert found.cores >= 1
    assert found.memory_gib > 0
    assert found.packages["uvloop"]
    assert found.redis[0].isdigit()
    said = " ".join(found.lines())
    assert socket.gethostname() not in said
    assert str(machine.ROOT) not in said


def test_a_folder_without_git_has_an_unknown_commit(tmp_path: Path) -> None:
    assert machine.commit_of(tmp_path) == "unknown"
