"""The folder that segments are written to. What to read next follows from their names alone."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Literal

from service.errors import ConfigurationError
from service.events.export.ids import START, EntryId, Segment, segment_of

Form = Literal["parquet", "jsonl"]
TABLES = ("exposures", "feedback", "shadows", "ends")
SUMMARY = "segment.json"

_LOCK = ".lock"
_WRITING = ".writing-"
_REMEDY = "free some room there, or name a folder that can be written"


class ExportFolder:
    """A folder that this process alone writes to; see `opened`."""

    def __init__(self, path: Path, segments: list[Segment]) -> None:
        self.path = path
        self._positions: dict[int, EntryId] = {}
        for segment in segments:
            self._moved(segment)

    def position(self, partition: int) -> EntryId:
        """The last entry of the partition that has been exported."""
        return self._positions.get(partition, START)

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """A new folder beside the segments, for `complete`; what an error leaves of it is removed.

        Raises `ConfigurationError` where the disk refuses something, be it within the block.
        """
        aside = self.path / f"{_WRITING}{secrets.token_hex(4)}"
        try:
            aside.mkdir()
            yield aside
        except OSError as error:
            raise _refused(self.path, error) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def complete(self, aside: Path, segment: Segment) -> None:
        """Make a folder whose files are on the disk the segment's, for good. Raises `OSError`."""
        _sync(aside)
        aside.rename(self.path / str(segment))
        _sync(self.path)
        self._moved(segment)

    def _moved(self, segment: Segment) -> None:
        self._positions[segment.partition] = max(self.position(segment.partition), segment.last)


@contextmanager
def opened(path: Path, form: Form) -> Iterator[ExportFolder]:
    """The folder, made where it is not there, and locked; what a killed export left is removed.

    Raises `ConfigurationError` where it cannot be written, is in use by another export, holds
    segments of another format, or is not a folder of events.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        names = sorted(entry.name for entry in path.iterdir())
        segments = _segments(path, names)
        if not segments and _LOCK not in names and (foreign := _foreign(names)):
            raise ConfigurationError(
                f"{path} holds {foreign}, and no events: name an empty folder, or one that "
                "`interests events export` has made"
            )
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _refused(path, error) from error
    try:
        _locked(path, lock)
        # Only now: the other export may have completed a segment in the meantime.
        segments = _segments(path, _cleaned(path))
        _check_form(path, segments, form)
        yield ExportFolder(path, segments)
    finally:
        os.close(lock)


def segments_in(path: Path) -> list[Segment]:
    """The complete segments of a folder, in their order. Raises `ConfigurationError`."""
    try:
        return _segments(path, sorted(entry.name for entry in path.iterdir()))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error


def _segments(path: Path, names: list[str]) -> list[Segment]:
    """What the names say. Raises `ConfigurationError` where two segments overlap."""
    found = sorted(filter(None, map(segment_of, names)))
    for one, other in pairwise(found):
        if one.partition == other.partition and other.first <= one.last:
            raise ConfigurationError(
                f"{path}: the segments {one} and {other} overlap: they are of two exports; move "
                "one of them away"
            )
    for segment in found:
        if not (path / str(segment)).is_dir():
            raise ConfigurationError(f"{path / str(segment)} is named as a segment, and no folder")
    return found


def _foreign(names: list[str]) -> str | None:
    """A name that no export gives. Hidden files, and what a disk's own root holds, do no harm."""
    return next((name for name in names if name[0] != "." and name != "lost+found"), None)


def _locked(path: Path, lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise ConfigurationError(
                f"another export into {path} is running: wait for its end, or name another folder"
            ) from error
        raise ConfigurationError(
            f"{path}: cannot be locked: {error.strerror}; name a folder on another file system"
        ) from error


def _cleaned(path: Path) -> list[str]:
    """Remove what killed exports left; the names of what stays."""
    try:
        names = []
        for entry in path.iterdir():
            if entry.name.startswith(_WRITING):
                shutil.rmtree(entry)
            else:
                names.append(entry.name)
    except OSError as error:
        raise _refused(path, error) from error
    return names


def _check_form(path: Path, segments: list[Segment], form: Form) -> None:
    for segment in segments:
        if not (path / str(segment) / f"{TABLES[0]}.{form}").is_file():
            raise ConfigurationError(
                f"{path / str(segment)} has no {TABLES[0]}.{form}: go on with the --format that "
                "this folder was begun with, or name another folder"
            )


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{path}: cannot be written: {error.strerror or error}; {_REMEDY}")
