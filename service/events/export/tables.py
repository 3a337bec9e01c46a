"""The files of a segment: JSON lines here, Parquet in `parquet_tables`, where that is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import orjson

from service.dates import iso_ms
from service.errors import ConfigurationError
from service.events.export.folder import TABLES, Form
from service.events.export.rows import TIMES, Candidates, Row


class Tables(Protocol):
    """The tables of one segment, while they are written. Raises `OSError`."""

    def add(self, table: str, rows: Sequence[Row]) -> None:
        """Write rows of one table."""
        ...

    def finish(self) -> None:
        """Write what is left. The files are on the disk when it returns."""
        ...

    def close(self) -> None:
        """Let the files go, finished or not. Raises nothing."""
        ...


class TablesOf(Protocol):
    """What makes the tables in a folder."""

    def __call__(self, folder: Path) -> Tables:
        """New, empty files."""
        ...


def tables_of(form: Form) -> TablesOf:
    """What writes this format. Raises `ConfigurationError` where its library is missing."""
    if form == "jsonl":
        return JsonTables
    try:
        from service.events.export.parquet_tables import ParquetTables
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("pyarrow"):
            raise
        raise ConfigurationError(
            "--format parquet needs the extra `parquet`, which is not installed: pip install "
            "'interests[parquet]', or make parquet where you have the sources; or give --format "
            "jsonl"
        ) from None
    return ParquetTables


@contextmanager
def writing(make: TablesOf, folder: Path) -> Iterator[Tables]:
    """Tables that are closed at the end, finished or not."""
    tables = make(folder)
    try:
        yield tables
    finally:
        tables.close()


class JsonTables:
    """A JSON object a line. Times are ISO 8601 in UTC, with milliseconds."""

    def __init__(self, folder: Path) -> None:
        with ExitStack() as stack:
            self._files: dict[str, BinaryIO] = {
                table: stack.enter_context((folder / f"{table}.jsonl").open("xb"))
                for table in TABLES
            }
            self._stack = stack.pop_all()

    def add(self, table: str, rows: Sequence[Row]) -> None:
        """Write rows of one table."""
        self._files[table].writelines(map(_line, rows))

    def finish(self) -> None:
        """Write what is left, and have it on the disk."""
        for file in self._files.values():
            sync(file)

    def close(self) -> None:
        """Let the files go."""
        for file in self._files.values():
            abandon(file)


def sync(file: BinaryIO) -> None:
    """Have the content of a file on the disk. Raises `OSError`."""
    file.flush()
    os.fsync(file.fileno())


def abandon(file: BinaryIO) -> None:
    """Close a file, also where what is left in its buffer cannot be written."""
    try:
        file.close()
    except OSError:
        return  # what refused it has been told


def _line(row: Row) -> bytes:
    told = dict(row)
    for name in TIMES:
        if (at_ms := told.get(name)) is not None:
            told[name] = iso_ms(at_ms)
    if isinstance(candidates := told.get("candidates"), Candidates):
        told["candidates"] = candidates.rows()
    return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)
