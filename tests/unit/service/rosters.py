"""Students that a test opens, with engines whose every word it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from service.choice import ServingStudent
from service.errors import ConfigurationError
from service.generation.engines.dispatch import Dispatcher
from service.generation.ladder import NoEngine
from service.generation.reuse import ReusingGenerator
from service.manifest import Manifest
from service.records import KeptList, Prompt
from service.roster import OpenStudent, Roster
from service.settings_groups import StudentSettings
from service.students import ConfiguredStudent, ConfiguredStudents
from service.telemetry import Metrics
from tests.unit.service.generation.engines.fakes import MODEL, FakeEngine
from tests.unit.service.test_manifest import manifest_of


def configured(version: str, *engines: str, **settings: Any) -> ConfiguredStudent:
    """The student `tiny` in this version, with engines at these URLs."""
    manifest = Manifest.model_validate(manifest_of(version=version))
    of = StudentSettings(manifest=Path(f"{version}/student.yaml"), engines=engines, **settings)
    return ConfiguredStudent(f"v{version}", of, manifest)


def wanted(default: str, *students: ConfiguredStudent) -> ConfiguredStudents:
    """These students, of which this version serves by default."""
    return ConfiguredStudents({one.key: one for one in students}, f"tiny@{default}")


class Opening:
    """Opens students for a roster, and remembers what it has opened."""

    def __init__(self, *, late_s: float = 0.2, longest_s: float = 0.05) -> None:
        self.roster = Roster(self.open, late_s=late_s, longest_s=longest_s)
        self.opened: list[OpenStudent] = []
        self.engines: dict[str, FakeEngine] = {}
        """By URL; one is alive unless the test says otherwise."""
        self.broken: set[str] = set()
        """Of these students the files cannot be used."""

    def engine(self, url: str) -> FakeEngine:
        """The engine at a URL."""
        return self.engines.setdefault(url, FakeEngine(url))

    async def open(self, one: ConfiguredStudent) -> OpenStudent:
        """Open a student."""
        if one.key in self.broken:
            raise ConfigurationError(f"{one.key}: not a readable tokenizer.json")
        engines = [self.engine(url) for url in one.settings.engines]
        metrics = Metrics(CollectorRegistry())
        dispatcher = Dispatcher(engines, [MODEL], metrics, window=one.settings.window)
        await dispatcher.start()

        async def keep(user_id: str, kept: KeptList) -> None:
            pass

        serving = ServingStudent(
            one.spec(), lambda shown: Prompt((), shown), lambda shown: "", NoEngine()
        )
        student = OpenStudent(one, dispatcher, serving, ReusingGenerator(NoEngine(), keep, 0))
        self.opened.append(student)
        return student

    def closed(self, student: OpenStudent) -> bool:
        """Whether no session to its engines is open."""
        return not any(self.engine(url).opened for url in student.of.settings.engines)

    @property
    def used(self) -> list[str]:
        """`name@version` of those that a request may be served with, the default first."""
        serving = self.roster.serving
        return sorted(serving.students, key=lambda key: (key != serving.default, key))
