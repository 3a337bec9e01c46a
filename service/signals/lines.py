"""Lines of a file, a gzipped file or standard input, and the rows in them that cannot be read."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from service.errors import InvalidInput


@dataclass(slots=True)
class RowErrors:
    """Rows that could not be read. Stops the reading when there are more than `limit`."""

    limit: int = 0
    messages: list[str] = field(default_factory=list)

    def add(self, source: str, line: int, problem: str) -> None:
        """Note a bad row. Raises `InvalidInput` once there are too many."""
        message = f"{source}:{line}: {problem}"
        self.messages.append(message)
        if len(self.messages) > self.limit:
            more = f" (bad row {len(self.messages)}; --max-errors is {self.limit})"
            raise InvalidInput(message + (more if self.limit else ""))


@contextmanager
def open_lines(source: str) -> Iterator[Iterator[tuple[int, str]]]:
    """Number and text of every line that is not blank; `-` is standard input.

    Raises `InvalidInput` for a file that cannot be opened or unpacked.
    """
    with ExitStack() as stack:
        try:
            if source == "-":
                file = stack.enter_context(os.fdopen(0, "rb", closefd=False))
            else:
                file = stack.enter_context(Path(source).open("rb"))
            packed = file.peek(2)[:2] == b"\x1f\x8b"
            plain = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if packed else file
            # What is no UTF-8 becomes surrogates: then it is that row that is bad, not the file.
            text = io.TextIOWrapper(plain, "utf-8-sig", errors="surrogateescape", newline="\n")
            yield ((number, line) for number, line in enumerate(text, 1) if line.strip())
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or error
            raise InvalidInput(f"cannot read {source}: {reason}") from error
