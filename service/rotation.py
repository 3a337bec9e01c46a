"""Secrets that change while the gateway runs: their files are read again when they change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from service.repeating import Repeating
from service.settings_values import read_secrets
from service.telemetry import Metrics
from service.watched_files import WatchedFile

_LOOK_S = 1.0
"""Between two looks at the files."""


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file with the secrets of one setting, one a line."""

    setting: str
    """What logs and metrics call it, such as `keys.backend`."""
    path: Path
    used: tuple[str, ...]
    """The secrets in use."""
    take: Callable[[tuple[str, ...]], None]
    """Puts others to use; raises `ValueError`, and changes nothing, where that cannot be."""


class Rotation:
    """Takes over what the files of secrets hold."""

    def __init__(self, files: Sequence[SecretFile], metrics: Metrics) -> None:
        self._metrics = metrics
        self._files = [
            WatchedFile(
                name=file.setting,
                read=partial(read_secrets, file.path),
                take=file.take,
                used=file.used,
                show=partial(self._show, file.setting),
                told=lambda secrets: f"{len(secrets)} valid",
            )
            for file in files
        ]
        for watched in self._files:
            watched.show(watched.used, "")

    async def look(self) -> None:
        """Read every file, and take what has stayed the same since the look before."""
        for file in self._files:
            await file.look()

    def _show(self, setting: str, used: tuple[str, ...], wrong: str) -> None:
        self._metrics.secrets_valid.labels(setting).set(len(used))
        self._metrics.secret_file_ok.labels(setting).set(not wrong)


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
