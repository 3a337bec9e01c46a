"""The file of students, looked at for as long as the gateway runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from service.errors import ConfigurationError
from service.experiments.definitions import HEURISTIC, Experiments
from service.experiments.live import LiveExperiments
from service.experiments.servable import misfits
from service.repeating import Repeating
from service.roster import Roster
from service.students import ConfiguredStudents
from service.telemetry import Metrics
from service.watched_files import WatchedFile

LOOK_S = 0.5
"""Between two looks: a file is taken at the second that sees it, so in about a second."""

Read = Callable[[Path], ConfiguredStudents]
"""Reads and checks a file; raises `ConfigurationError`."""


class _Reader:
    """Reads a file again when it has changed, and at each look while it cannot be used.

    For what it lacks may come: a student's folder, or a file of certificates.
    """

    def __init__(self, path: Path, read: Read) -> None:
        self._path = path
        self._read = read
        self._seen: bytes | None = None
        self._found: ConfiguredStudents | None = None

    def read(self) -> ConfiguredStudents:
        """What the file says. Raises `ValueError`."""
        try:
            held = self._path.read_bytes()
        except OSError as error:
            raise ValueError(f"{self._path}: cannot be read: {error.strerror}") from None
        if self._found is None or held != self._seen:
            self._seen, self._found = held, None
            try:
                self._found = self._read(self._path)
            except ConfigurationError as error:
                raise ValueError(str(error)) from None
        return self._found


@asynccontextmanager
async def watching_students(
    path: Path,
    read: Read,
    used: ConfiguredStudents,
    roster: Roster,
    experiments: LiveExperiments,
    metrics: Metrics,
) -> AsyncIterator[None]:
    """Have the roster take what the file holds, for as long as the block lasts.

    `used`: what it has taken. A student that an experiment may still serve is not taken away.
    """

    def take(new: ConfiguredStudents) -> None:
        if told := next(_missed(new, experiments.checked.experiments), None):
            raise ValueError(new.line(("students",), told))
        roster.take(new)

    def show(_: ConfiguredStudents, wrong: str) -> None:
        metrics.students_file_ok.set(not wrong)

    file = WatchedFile(
        name="the file of students",
        read=_Reader(path, read).read,
        take=take,
        used=used,
        show=show,
        told=_told,
    )
    looking = Repeating(file.look, LOOK_S, "looking at the file of students", foreseen=())
    looking.start()
    try:
        yield
    finally:
        await looking.stop()


def _missed(new: ConfiguredStudents, experiments: Experiments) -> Iterator[str]:
    """Arms that would lose their student, or get one that cannot decode as they say."""
    students = new.manifests()
    default = {new.default: students[new.default]}
    for key, (_, one) in experiments.by_key().items():
        for arm in one.arms if one.goes_on else ():
            place = f"the arm {arm.name} of the experiment {key}"
            if arm.student not in (None, HEURISTIC, *students):
                yield (
                    f"{arm.student} is gone, but {place} is served by it: put it back, or stop the"
                    " experiment first"
                )
            else:
                for name, told in misfits(arm, students, default):
                    yield (
                        f"sampling.{name} of {place} does not fit them: {told}; or stop the"
                        " experiment first"
                    )


def _told(students: ConfiguredStudents) -> str:
    return f"{', '.join(students.by_key)}; by default {students.default}"
