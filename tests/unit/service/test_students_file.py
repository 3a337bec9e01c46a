"""A file of students under watch: taken over, or refused with the last good one in use."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from service import students_file as module
from service.errors import ConfigurationError
from service.experiments.definitions import Arm, Experiments, Layer, Status
from service.experiments.file import CheckedFile
from service.experiments.live import LiveExperiments
from service.students import ConfiguredStudent, ConfiguredStudents
from service.students_file import watching_students
from service.telemetry import Metrics
from tests.unit.service.experiments.builders import experiment
from tests.unit.service.generation.engines.fakes import until
from tests.unit.service.rosters import Opening, configured, wanted


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.005)


class Watched:
    """Students `1` and `2` without engines, and a file that says which versions there are."""

    def __init__(
        self, folder: Path, status: Status = Status.STOPPED, arm: dict[str, Any] | None = None
    ) -> None:
        self.path = folder / "students"
        self.opening = Opening()
        self.registry = CollectorRegistry()
        self.missing: set[str] = set()
        """Versions whose folder is not there."""
        self.read = 0
        self.warmth: dict[str, float] = {}
        """Temperatures by version; of the others it is 0."""
        arms = (Arm("new", 10_000, **(arm or {"student": "tiny@2"})),)
        one = experiment("newer", kind="rollout", arms=arms, status=status)
        layers = (Layer("students", "salt", (one,)),)
        self.experiments = LiveExperiments(CheckedFile(Experiments(layers)))
        self.write("1 2")

    def write(self, versions: str) -> None:
        """Say which versions there are; the first serves by default."""
        aside = self.path.with_suffix(".new")
        aside.write_text(versions)
        aside.rename(self.path)

    def reading(self, path: Path) -> ConfiguredStudents:
        self.read += 1
        versions = path.read_text().split()
        if gone := self.missing.intersection(versions):
            raise ConfigurationError(f"{path}:3: students.a.manifest: no such: {min(gone)}")
        return wanted(versions[0], *map(self._configured, versions))

    def _configured(self, version: str) -> ConfiguredStudent:
        one = configured(version)
        decoding = one.manifest.decoding.model_copy(
            update={"temperature": self.warmth.get(version, 0)}
        )
        return replace(one, manifest=one.manifest.model_copy(update={"decoding": decoding}))

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        first = self.reading(self.path)
        await self.opening.roster.begin(first)
        metrics = Metrics(self.registry)
        try:
            async with watching_students(
                self.path, self.reading, first, self.opening.roster, self.experiments, metrics
            ):
                yield
        finally:
            await self.opening.roster.close()

    @property
    def ok(self) -> bool:
        return self.registry.get_sample_value("interests_students_file_ok") == 1


async def test_what_the_file_says_is_taken_over(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    async with watched.watching():
        assert watched.opening.used == ["tiny@1", "tiny@2"]
        watched.write("3 1")
        await until(lambda: watched.opening.used == ["tiny@3", "tiny@1"])
        assert watched.ok


async def test_a_file_that_cannot_be_used_is_told_once_and_tried_again_at_each_look(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(tmp_path)
    with caplog.at_level(logging.WARNING, "service.watched_files"):
        async with watched.watching():
            watched.missing.add("3")
            watched.write("3 1")
            await until(lambda: not watched.ok)
            read = watched.read
            await until(lambda: watched.read > read + 3)
            assert watched.opening.used == ["tiny@1", "tiny@2"]
            (told,) = caplog.messages
            assert "the last good one goes on" in told
            assert f"{watched.path}:3: students.a.manifest: no such: 3" in told
            watched.missing.clear()
            await until(lambda: watched.opening.used == ["tiny@3", "tiny@1"])
            await until(lambda: watched.ok)


async def test_a_good_file_is_read_once(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    async with watched.watching():
        watched.write("2 1")
        await until(lambda: watched.opening.used == ["tiny@2", "tiny@1"])
        read = watched.read
        watched.write("2 1")
        watched.path.unlink()
        await until(lambda: not watched.ok)
        assert watched.opening.used == ["tiny@2", "tiny@1"]
    assert watched.read == read


@pytest.mark.parametrize("status", [Status.RUNNING, Status.PAUSED])
async def test_a_student_that_an_arm_names_does_not_go_before_its_experiment_is_stopped(
    tmp_path: Path, status: Status, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(tmp_path, status)
    async with watched.watching():
        watched.write("1")
        await until(lambda: not watched.ok)
        assert "tiny@2 is gone, but the arm new of the experiment newer is served" in caplog.text
        assert watched.opening.used == ["tiny@1", "tiny@2"]
        watched.experiments.take(CheckedFile(Experiments()))
        await until(lambda: watched.opening.used == ["tiny@1"])
        await until(lambda: watched.ok)


async def test_no_student_comes_that_cannot_decode_as_an_arm_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The arm names no student, so whichever is to serve by default must go with its sampling."""
    watched = Watched(tmp_path, Status.RUNNING, {"sampling": {"n": 4}})
    watched.warmth["1"] = 0.7
    async with watched.watching():
        watched.write("2 1")
        await until(lambda: not watched.ok)
        assert "sampling.n of the arm new of the experiment newer does not fit them" in caplog.text
        assert "n is 4 and temperature of tiny@2 is 0" in caplog.text
        assert watched.opening.used == ["tiny@1", "tiny@2"]
        watched.warmth["2"] = 0.7
        watched.write("2  1")
        await until(lambda: watched.opening.used == ["tiny@2", "tiny@1"])
