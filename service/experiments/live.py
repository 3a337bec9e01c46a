"""The experiments in use, and the file that they come from, looked at for as long as it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from service.experiments.assign import Assigner, Assignment
from service.experiments.changes import forbidden
from service.experiments.definitions import Experiments
from service.experiments.file import (
    CheckedFile,
    RefusedFile,
    read_experiments,
)
from service.experiments.overlay import Overlay, apply
from service.experiments.servable import Servable, unservable
from service.repeating import Repeating
from service.watched_files import WatchedFile

LOOK_S = 0.5
"""Between two looks: a file is taken at the second that sees it, so in about a second."""


class LiveExperiments:
    """Assigns users by the last good file and overlay; without a file, nobody to anything."""

    def __init__(self, checked: CheckedFile | None = None) -> None:
        self._checked = checked or CheckedFile(Experiments())
        self._overlay = Overlay()
        self._assigner = Assigner(self._checked.experiments)
        self.ok = True
        """Whether what the file holds is in use."""
        self.overlay_ok = True
        """Whether what was done by hand could be read at the last look."""

    @property
    def checked(self) -> CheckedFile:
        """The last good file."""
        return self._checked

    @property
    def experiments(self) -> Experiments:
        """The experiments in effect: those of the file, with what was done to them by hand."""
        return self._assigner.experiments

    @property
    def overlay(self) -> Overlay:
        """What was done by hand, as far as it is known."""
        return self._overlay

    def assign(self, user_id: str, now_ms: int) -> tuple[Assignment, ...]:
        """See `Assigner.assign`."""
        return self._assigner.assign(user_id, now_ms)

    def take(self, new: CheckedFile) -> None:
        """Go on with `new`. Raises `ValueError` where it would move the enrolled.

        Files are compared with each other, without what was done by hand: that ends at any moment,
        and then both files must have the same users in the same arms.
        """
        if faults := forbidden(self._checked.experiments, new.experiments):
            raise ValueError(new.line(*faults[0]))
        self._assigner = Assigner(apply(new.experiments, self._overlay))
        self._checked = new

    def lay(self, overlay: Overlay) -> None:
        """Go on with this overlay over the file in use, and over those that follow."""
        self._assigner = Assigner(apply(self._checked.experiments, overlay))
        self._overlay = overlay


class _Reader:
    """Reads a file, and checks it only when it, or what arms may ask for, has changed.

    It is looked at twice a second.
    """

    def __init__(self, path: Path, servable: Callable[[], Servable]) -> None:
        self._path = path
        self._servable = servable
        self._seen: tuple[bytes, Servable] | None = None
        self._found: CheckedFile | str = ""

    def read(self) -> CheckedFile:
        """What the file says. Raises `ValueError`."""
        try:
            held = self._path.read_bytes()
        except OSError as error:
            raise ValueError(f"{self._path}: cannot be read: {error.strerror}") from None
        servable = self._servable()
        seen = held, servable
        if seen != self._seen:
            try:
                self._found = read_experiments(self._path, servable)
            except RefusedFile as error:
                self._found = str(error)
            self._seen = seen
        if isinstance(self._found, str):
            raise ValueError(self._found)
        return self._found


@asynccontextmanager
async def watching(
    live: LiveExperiments,
    path: Path,
    servable: Callable[[], Servable],
    show: Callable[[LiveExperiments], None],
) -> AsyncIterator[None]:
    """Take what the file holds for as long as the block lasts; `show` is told after each look.

    `servable`: what arms may ask for at this moment.
    """

    def take(new: CheckedFile) -> None:
        # Between the file's check, in a thread, and this moment a student may have gone.
        if faults := [new.line(*fault) for fault in unservable(new.experiments, servable())]:
            raise ValueError(faults[0])
        live.take(new)

    def note(_: CheckedFile, wrong: str) -> None:
        live.ok = not wrong
        show(live)

    file = WatchedFile(
        name="the file of experiments",
        read=_Reader(path, servable).read,
        take=take,
        used=live.checked,
        show=note,
        told=_told,
    )
    looking = Repeating(file.look, LOOK_S, "looking at the file of experiments", foreseen=())
    show(live)
    looking.start()
    try:
        yield
    finally:
        await looking.stop()


def _told(checked: CheckedFile) -> str:
    running = [key for key, (_, one) in checked.experiments.by_key().items() if one.runs_at_all]
    return f"running: {', '.join(running) or 'none'}"
