"""Folders that are complete or not there, and room on the disk for what will be written."""

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
def complete_folder(target: Path, need: int, remedy: str) -> Iterator[Path]:
    """A folder to write into, put where `target` is when the block ends without an error.

    `need` is how many bytes will be written. Raises `ConfigurationError` where the disk has no room
    for them (before anything is made) or cannot be written; `remedy` says what to do about it, with
    the option of the caller that names another place.
    """
    require_room(target, need + _MARGIN, remedy)
    aside = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        yield aside
        aside.chmod(0o755)
        _replace(aside, target)
    except OSError as error:
        raise ConfigurationError(
            f"{target}: cannot be written: {error.strerror}; {remedy}"
        ) from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


def require_room(place: Path, need: int, remedy: str) -> None:
    """Raise `ConfigurationError` where fewer than `need` bytes are free for what is to be there."""
    if (free := free_bytes(place)) < need:
        raise ConfigurationError(
            f"{place}: {need / 2**20:,.0f} MiB are needed, {free / 2**20:,.0f} MiB are free; "
            f"{remedy}"
        )


def free_bytes(place: Path) -> int:
    """Bytes free where a file or folder lies or will lie."""
    place = place.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _replace(aside: Path, target: Path) -> None:
    """Put `aside` where `target` is: a folder cannot be renamed over one that is not empty."""
    old = target.with_name(f".{target.name}-old-{os.getpid()}")
    if target.exists():
        target.rename(old)
    aside.rename(target)
    shutil.rmtree(old, ignore_errors=True)
