"""Files as users bring them: plain or gzipped, or standard input."""

from __future__ import annotations

import gzip
import os
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
