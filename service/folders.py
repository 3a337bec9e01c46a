"""Folders that are complete or not there: made aside, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import ConfigurationError

_MARGIN = 64 * 2**20


@contextmanager
def complete_folder(target: Path, need: int) -> Iterator[Path]:
    """A folder to write into, put where `target` is when the block ends without an error.

    `need` is how many bytes will be written. Raises `ConfigurationError` where the disk has no room
    for them (before anything is made) or cannot be written.
    """
    _check_room(target, need + _MARGIN)
    aside = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        yield aside
        aside.chmod(0o755)
        _replace(aside, target)
    except OSError as error:
        raise ConfigurationError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


def _check_room(target: Path, need: int) -> None:
    place = target.absolute()
    while not place.exists():
        place = place.parent
    if (free := shutil.disk_usage(place).free) < need:
        raise ConfigurationError(
            f"{target}: {need / 2**20:.0f} MiB are needed, {free / 2**20:.0f} MiB are free; "
            "make room, or choose another place with --into"
        )


def _replace(aside: Path, target: Path) -> None:
    """Put `aside` where `target` is: a folder cannot be renamed over one that is not empty."""
    old = target.with_name(f".{target.name}-old-{os.getpid()}")
    if target.exists():
        target.rename(old)
    aside.rename(target)
    shutil.rmtree(old, ignore_errors=True)
