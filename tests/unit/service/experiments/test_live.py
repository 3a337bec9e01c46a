"""A file that changes is taken over; one that cannot be used leaves the last good one in use."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from service.experiments import live as module
from service.experiments.file import read_experiments
from service.experiments.live import LiveExperiments, watching
from service.experiments.servable import Servable
from tests.unit.service.experiments.builders import NOW_MS, can, file_of, written
from tests.unit.service.generation.engines.fakes import until

LOGGER = "service.watched_files"


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.005)


class Watched:
    """Experiments under watch, in a folder of a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = file_of(folder, written())
        self.live = LiveExperiments(read_experiments(self.path, can()))
        self.shown: list[bool] = []
        self.servable = can()

    def watching(self) -> Any:
        return watching(
            self.live, self.path, lambda: self.servable, lambda live: self.shown.append(live.ok)
        )

    def write(self, **changes: Any) -> None:
        """Put another file in the place of the one that is watched, at once."""
        aside = self.folder / "aside"
        aside.mkdir(exist_ok=True)
        file_of(aside, written(**changes)).rename(self.path)

    def traffic(self) -> int:
        (_, one), *_ = self.live.checked.experiments.by_key().values()
        return one.traffic


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


async def test_a_changed_file_is_taken(watched: Watched) -> None:
    before = watched.live.assign("maya", NOW_MS)
    async with watched.watching():
        watched.write(traffic="0%", allowlist={"maya": "small-10"})
        await until(lambda: watched.traffic() == 0)
    (place,) = watched.live.assign("maya", NOW_MS)
    assert place.listed
    assert not any(one.listed for one in before)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"trafic": "1%"}, "did you mean traffic?"),
        (
            {"arms": [{"name": "control", "split": "40%"}, {"name": "small-10", "split": "60%"}]},
            "arms.0.split: was 50%",
        ),
    ],
)
async def test_a_file_that_cannot_be_used_is_told_once_and_changes_nothing(
    watched: Watched, changes: dict[str, Any], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        async with watched.watching():
            watched.write(**changes)
            await until(lambda: not watched.live.ok)
            looks = len(watched.shown)
            await until(lambda: len(watched.shown) > looks + 3)
            assert watched.traffic() == 1_000
            (said,) = caplog.messages
            assert f"{watched.path}:" in said
            assert told in said
            assert "the last good one goes on" in said
            watched.write(traffic="20%")
            await until(lambda: watched.traffic() == 2_000)
            assert watched.live.ok
    assert watched.shown[-1]


async def test_a_file_that_goes_leaves_the_last_good_one(watched: Watched) -> None:
    async with watched.watching():
        watched.path.unlink()
        await until(lambda: not watched.live.ok)
        assert watched.traffic() == 1_000
        watched.write()
        await until(lambda: watched.live.ok)


async def test_a_file_whose_student_comes_later_is_taken_then(watched: Watched) -> None:
    arms = [{"name": "new", "student": "small@11"}]
    async with watched.watching():
        watched.write(key="newer", kind="rollout", arms=arms)
        await until(lambda: not watched.live.ok)
        assert watched.traffic() == 1_000
        watched.servable = can("small@9", "small@10", "small@11")
        await until(lambda: "newer" in watched.live.checked.experiments.by_key())
        await until(lambda: watched.live.ok)


async def test_a_file_is_not_taken_when_its_student_has_gone_since_it_was_checked(
    watched: Watched,
) -> None:
    """It is checked in a thread and taken on the loop: no request may meet an arm without one."""

    def servable() -> Servable:
        on_loop = threading.current_thread() is threading.main_thread()
        return can("small@10") if on_loop else can("small@9", "small@10")

    async with watching(watched.live, watched.path, servable, lambda _: None):
        watched.write(key="newer", kind="rollout", arms=[{"name": "new", "student": "small@9"}])
        await until(lambda: not watched.live.ok)
        assert "newer" not in watched.live.checked.experiments.by_key()


async def test_a_file_is_checked_only_when_it_has_changed(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def counting(path: Path, servable: Any) -> Any:
        read.append(path)
        return read_experiments(path, servable)

    monkeypatch.setattr(module, "read_experiments", counting)
    async with watched.watching():
        watched.write(trafic="1%")
        await until(lambda: not watched.live.ok)
        looks = len(watched.shown)
        await until(lambda: len(watched.shown) > looks + 5)
        assert 1 <= len(read) <= 2


def test_a_file_in_use_knows_when_it_was_written(watched: Watched) -> None:
    os.utime(watched.path, ns=(1_000_000_000, 2_000_000_000))
    assert read_experiments(watched.path, can()).experiments.written_ms == 2_000
