"""Rows of files that users bring: read line by line, and what is wrong with those that are bad."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from service.errors import InvalidInput
from service.files import open_plain

Row = TypeVar("Row")

_TABS_OF_COLUMNS = 3
"""In a line of MIND at the least; JSON on one line has none as a rule."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read: where it is, which field is wrong (or none), and why."""

    file: str
    line: int
    field: str
    why: str

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        return f"{self.file}:{self.line}: {field}{self.why}"


def _nobody(row: BadRow) -> None:
    """Tell nobody."""


class BadRows:
    """Counts the bad rows of a reading, tells of each, and ends it at one too many."""

    def __init__(
        self, limit: int = 0, tell: Callable[[BadRow], None] = _nobody, *, outcome: str = ""
    ) -> None:
        """At most `limit` are passed over. `outcome` is what the end of the reading means for what
        was to be done with the rows, for the error: "nothing was changed"."""
        self.limit = limit
        self.count = 0
        self._tell = tell
        self._outcome = outcome

    def add(self, row: BadRow) -> None:
        """Count a bad row. Raises `InvalidInput` once there are more than `limit`."""
        self.count += 1
        if self.count > self.limit:
            number = f" (bad row {self.count})" if self.limit else ""
            outcome = f"{self._outcome}: " if self._outcome else ""
            raise InvalidInput(
                f"{row}{number}; {outcome}mend it, or pass over up to N bad rows with "
                "--max-errors N"
            )
        self._tell(row)

    def sift(self, rows: Iterable[Row | BadRow]) -> Iterator[Row]:
        """The good rows; the bad ones are added here. Raises as `add` does."""
        for row in rows:
            if isinstance(row, BadRow):
                self.add(row)
            else:
                yield row


def name_of(source: str) -> str:
    """What a source is called in messages: `-` is standard input."""
    return "stdin" if source == "-" else source


def read_lines(source: str) -> Iterator[tuple[int, str]]:
    """Number and text of every line that is not blank, of a file, gzipped or plain, or of `-`.

    Bytes that are no UTF-8 become lone surrogates, so that a row is bad and not its file: see
    `broken_byte`. A byte-order mark is passed over; line ends stay. Raises `InvalidInput` for what
    cannot be opened, read or unpacked, with the line that it came to.
    """
    number = 0
    try:
        with open_plain(source) as plain:
            text = io.TextIOWrapper(plain, "utf-8-sig", errors="surrogateescape", newline="\n")
            for line in text:
                number += 1
                if number == 1 and line.startswith("PAR1"):
                    raise InvalidInput(
                        f"{name_of(source)} is Parquet, which is read from a plain file: not "
                        "gzipped, and not from standard input"
                    )
                if line.strip():
                    yield number, line
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        after = f" after line {number}" if number else ""
        raise InvalidInput(f"cannot read {name_of(source)}{after}: {reason}") from error


def is_json(row: str) -> bool:
    """Whether a line is JSON, or is to be; else it may be columns between tabs, the first of which
    may be an id that begins as JSON does."""
    return row.lstrip()[:1] in ("{", "[") and row.count("\t") < _TABS_OF_COLUMNS


def foreign(first: str) -> str | None:
    """What a file is, by its first line, where that is neither JSON lines nor columns between tabs:
    the reason for its refusal, with the remedy where there is one."""
    if is_json(first) and first.lstrip().startswith("["):
        return (
            "this is a JSON array; what is wanted is an object on each line (JSON lines): "
            "jq -c '.[]' FILE writes them"
        )
    if is_json(first) or "\t" in first:
        return None
    if "," in first or ";" in first:
        return "this looks like CSV; what is wanted is JSON lines, or MIND's tab-separated columns"
    return "this is neither JSON lines nor MIND's tab-separated columns"


def broken_byte(line: str) -> int | None:
    """The place (from 1) of the first byte of a line of `read_lines` that is no UTF-8."""
    try:
        line.encode()
    except UnicodeEncodeError as error:
        return len(line[: error.start].encode()) + 1
    return None
