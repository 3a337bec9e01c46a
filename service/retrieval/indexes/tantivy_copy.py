"""A generation's files, checked, and copied to where nobody else writes.

tantivy maps its files into memory. Where another process cuts one short, the next search that
touches what is gone is a SIGBUS, which ends the process and which Python cannot catch. So a reader
opens a copy that has no name any more by the time it is searched, and each file is compared with
the checksum that tantivy keeps at its end before any of it is mapped
(docs/decisions/2026-11-27-the-index-is-copied.md).
"""

from __future__ import annotations

import shutil
import struct
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import orjson

from service.errors import RetrievalUnavailable

META = "meta.json"
OPENING = "opening-"
"""Begins the name of a folder that holds a copy while it is opened."""

_PARTS = ("fast", "fieldnorm", "idx", "pos", "store", "term")
_END = struct.Struct("<II")  # the length of the JSON before it, and tantivy's magic number
_MAGIC = 1337
_CHUNK = 1 << 20


@contextmanager
def private_copy(generation: Path) -> Iterator[Path]:
    """A folder with the files of the last commit, whole, which is removed at the end of the block.

    What has been opened in the block can be read on after it. Raises `RetrievalUnavailable` for a
    file that is cut off or altered, and `OSError` where one is missing or there is no room.
    """
    with _folder_beside(generation) as copy:
        meta = (generation / META).read_bytes()
        (copy / META).write_bytes(meta)
        for name in _files_of(meta, generation):
            copy_whole(generation / name, copy / name)
        yield copy


def check_whole(generation: Path) -> None:
    """Return if all files of the last commit are as tantivy wrote them. Raises as above."""
    for name in _files_of((generation / META).read_bytes(), generation):
        check_file(generation / name)


def copy_whole(path: Path, target: Path) -> int:
    """Copy one file that ends as tantivy's do; the bytes before its end. Raises as above."""
    with target.open("wb") as copy:
        return check_file(path, copy)


def end_of_file(checksum: int) -> bytes:
    """What stands behind a file's content, as tantivy writes it: the CRC-32 of all before it."""
    said = orjson.dumps({"crc": checksum})
    return said + _END.pack(len(said), _MAGIC)


def remove_uncommitted_deletions(generation: Path) -> None:
    """Remove what a killed change wrote of its deletions without committing them.

    The next change gives its own the same names (segment and number of the operation), and tantivy
    refuses to write over a file. Only the writer may call this, while it holds the lock.
    """
    committed = _files_of((generation / META).read_bytes(), generation)
    for left in generation.glob("*.del"):
        if left.name not in committed:
            left.unlink(missing_ok=True)


@contextmanager
def _folder_beside(generation: Path) -> Iterator[Path]:
    try:
        folder = tempfile.mkdtemp(prefix=OPENING, dir=generation.parent)
    except OSError:  # it may be ours to read only
        folder = tempfile.mkdtemp(prefix="interests-index-")
    try:
        yield Path(folder)
    finally:
        _remove(Path(folder))


def _remove(folder: Path) -> None:
    """Remove a copy. tantivy's watcher of new commits, which opening starts for a moment, may lay
    its lock into the folder while it is being emptied."""
    for pause_s in (0.0, 0.01, 0.1):
        time.sleep(pause_s)
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return


def _files_of(meta: bytes, generation: Path) -> list[str]:
    """The names of a commit's files; the folder may hold those of a commit under way, too."""
    names = []
    try:
        for segment in orjson.loads(meta)["segments"]:
            stem = segment["segment_id"].replace("-", "")
            names += [f"{stem}.{part}" for part in _PARTS]
            if segment["deletes"] is not None:
                names.append(f"{stem}.{segment['deletes']['opstamp']}.del")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(generation / META) from error
    return names


def check_file(path: Path, copy: BinaryIO | None = None) -> int:
    """Read a file once, compare it with its checksum, and write what was read to `copy`.

    Returns the bytes of its content, which its end follows. Raises as above.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _END.size))
        end = file.read()
        said, magic = _END.unpack(end) if len(end) == _END.size else (0, 0)
        left: int = size - _END.size - said
        if magic != _MAGIC or left < 0:
            raise damaged(path)
        content = left
        file.seek(left)
        try:
            wanted = orjson.loads(file.read(said))["crc"]
        except (ValueError, KeyError, TypeError) as error:
            raise damaged(path) from error
        file.seek(0)
        found = 0
        while chunk := file.read(min(_CHUNK, left)):
            found = zlib.crc32(chunk, found)
            left -= len(chunk)
            if copy:
                copy.write(chunk)
        if left or found != wanted:
            raise damaged(path)
        if copy:
            file.seek(content)
            copy.write(file.read(said) + end)
    return content


def damaged(path: Path) -> RetrievalUnavailable:
    """The error for a file of a generation that cannot be what was written."""
    return RetrievalUnavailable(
        f"the index in {path.parent.parent} is damaged: {path.name} is cut off or altered; "
        "load the articles again with `interests index load FILE…`"
    )
