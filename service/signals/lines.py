"""Lines of a file, a gzipped file or standard input, and the rows in them that cannot be read."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from service.errors import InvalidInput
from service.files import open_plain


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
    try:
        with open_plain(source) as plain:
            # What is no UTF-8 becomes surrogates: then it is that row that is bad, not the file.
            text = io.TextIOWrapper(plain, "utf-8-sig", errors="surrogateescape", newline="\n")
            yield ((number, line) for number, line in enumerate(text, 1) if line.strip())
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"cannot read {source}: {reason}") from error
