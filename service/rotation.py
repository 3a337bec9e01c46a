"""Secrets that change while the gateway runs: their files are read again when they change.

A file is taken once two looks in a row have seen the same in it, so that one half written is not.
What cannot be used is said once, and the last good one goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from service.repeating import Repeating
from service.settings_values import read_secrets
from service.telemetry import Metrics

log = logging.getLogger(__name__)

_LOOK_S = 1.0
"""Between two looks at the files."""


@dataclass(slots=True)
class SecretFile:
    """A file with the secrets of one setting, one a line."""

    setting: str
    """What logs and metrics call it, such as `keys.backend`."""
    path: Path
    used: tuple[str, ...]
    """The secrets in use."""
    take: Callable[[tuple[str, ...]], None]
    """Puts others to use; raises `ValueError`, and changes nothing, where that cannot be."""
    seen: tuple[str, ...] = ()
    """What the last look saw, where it is not in use."""
    wrong: str = ""
    """Why the file cannot be used; empty while it can."""


class Rotation:
    """Takes over what the files of secrets hold."""

    def __init__(self, files: Sequence[SecretFile], metrics: Metrics) -> None:
        self._files = files
        self._metrics = metrics
        for file in files:
            self._show(file)

    async def look(self) -> None:
        """Read every file, and take what has stayed the same since the look before."""
        for file in self._files:
            wrong = ""
            try:
                found = await asyncio.to_thread(read_secrets, file.path)
                self._use(file, found)
            except ValueError as error:
                wrong = str(error)
            if wrong and wrong != file.wrong:
                log.warning("%s cannot be used, the last good one goes on: %s", file.setting, wrong)
            if file.wrong and not wrong:
                log.info("%s can be used again", file.setting)
            file.wrong = wrong
            self._show(file)

    def _use(self, file: SecretFile, found: tuple[str, ...]) -> None:
        if found == file.used:
            file.seen = ()
        elif found != file.seen:
            file.seen = found
        else:
            file.take(found)
            file.used, file.seen = found, ()
            log.info("%s was read again: %d valid", file.setting, len(found))

    def _show(self, file: SecretFile) -> None:
        self._metrics.secrets_valid.labels(file.setting).set(len(file.used))
        self._metrics.secret_file_ok.labels(file.setting).set(not file.wrong)


@asynccontextmanager
async def rotating(files: Sequence[SecretFile], metrics: Metrics) -> AsyncIterator[None]:
    """Look at these files for as long as the block lasts."""
    rotation = Rotation(files, metrics)
    looking = Repeating(rotation.look, _LOOK_S, "looking at the files of secrets", foreseen=())
    if files:
        looking.start()
    try:
        yield
    finally:
        await looking.stop()
