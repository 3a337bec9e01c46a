"""What `make run` refuses before it starts anything, in one line."""

from __future__ import annotations

import re
import shutil
import socket
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console

from deploy.local import stack
from deploy.local.processes import free_port
from deploy.local.stack import LocalStack, StackOptions
from models.packaging.registry import DEFAULT_STUDENT, find_student
from service.errors import ConfigurationError


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def run(options: StackOptions) -> None:
    LocalStack(options, Console(quiet=True)).run(stay=False)


def test_too_little_room_is_refused_with_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12 - 10**8, 10**8))
    with pytest.raises(ConfigurationError, match="1,431 MiB are needed, 95 MiB are free"):
        run(StackOptions(tmp_path / "home", free_port()))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot write to"):
        run(StackOptions(tmp_path / "file" / "home", free_port()))


def test_a_port_in_use_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="choose another: `make run PORT=8081`"):
            run(StackOptions(tmp_path / "home", taken.getsockname()[1]))
    assert not (tmp_path / "home" / "log").exists()


def test_a_port_of_redis_in_use_is_refused_by_the_name_of_its_option(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match="choose another: --redis-port"):
            run(StackOptions(tmp_path / "home", free_port(), redis_port=port))


def test_articles_that_are_not_there_are_named(tmp_path: Path) -> None:
    options = StackOptions(tmp_path / "home", free_port(), articles=(tmp_path / "none.jsonl",))
    with pytest.raises(ConfigurationError, match=r"none\.jsonl is not a file"):
        run(options)


def test_a_missing_engine_environment_is_named_with_the_remedy(tmp_path: Path) -> None:
    options = StackOptions(
        tmp_path / "home", free_port(), engine_python=tmp_path / "nowhere" / "python"
    )
    with pytest.raises(ConfigurationError, match="is missing: `make run` installs it"):
        run(options)


@pytest.mark.parametrize("asked", ["mine", "mine@10", "mine@9"])
def test_the_student_that_was_asked_for_is_served_though_others_lie_beside_it(
    asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = find_student(DEFAULT_STUDENT)
    registry, built = tmp_path / "registry", tmp_path / "home" / "students"
    for version in ("9", "10"):
        text = (shipped.folder / "student.yaml").read_text()
        text = re.sub(r"(?m)^name: .*$", "name: mine", text)
        text = re.sub(r"(?m)^version: .*$", f'version: "{version}"', text)
        for root in (registry, built):
            folder = root / "mine" / version
            folder.mkdir(parents=True)
            (folder / "student.yaml").write_text(text)
    (tmp_path / "python").touch()
    monkeypatch.setattr(stack, "find_student", lambda wanted: find_student(wanted, registry))
    options = StackOptions(
        tmp_path / "home", free_port(), student=asked, engine_python=tmp_path / "python"
    )
    local = LocalStack(options, Console(quiet=True))
    monkeypatch.setattr(local, "_call", lambda command, what: None)
    expected = asked.partition("@")[2] or "10"
    assert local._build_student(asked) == built / "mine" / expected
