"""Files as users bring them, plain or gzipped; and files of ours, complete or not there."""

from __future__ import annotations

import gzip
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, cast


@contextmanager
def open_plain(source: str) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked if it is gzipped; `-` is standard input.

    Raises what opening and unpacking raise: `OSError`, `EOFError`, `zlib.error`.
    """
    with ExitStack() as stack:
        if source == "-":
            file = stack.enter_context(os.fdopen(0, "rb", closefd=False))
        else:
            file = stack.enter_context(Path(source).open("rb"))
        packed = file.peek(2)[:2] == b"\x1f\x8b"
        yield cast("BinaryIO", gzip.GzipFile(fileobj=file)) if packed else file


@contextmanager
def whole_file(path: Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """A file to write into, put where `path` is when the block ends without an error.

    It is written beside `path` and renamed, so no reader ever sees half of it and an error leaves
    what was there. With `durable` its content has reached the disk before its name is given.
    Raises `OSError`.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with aside.open("xb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
