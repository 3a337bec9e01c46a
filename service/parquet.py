"""Rows of Parquet files that users bring: what is read of them, and what each column must be.

pyarrow, which reads them, is an extra and is imported when the first such file is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from service.dates import EARLIEST_MS, LATEST_MS
from service.errors import ConfigurationError, InvalidInput

Kind = Literal["id", "text", "time", "ids", "texts", "times"]
"""Of one value, or of a list of them: an id is a text or an integer, a time is in milliseconds."""

_WANTED: Mapping[Kind, str] = {
    "id": "integers or texts",
    "text": "texts",
    "time": "timestamps",
    "ids": "lists of integers or texts",
    "texts": "lists of texts",
    "times": "lists of timestamps",
}
_OF_LISTS: Mapping[Kind, Kind] = {"ids": "id", "texts": "text", "times": "time"}
_BATCH = 1_024
"""Rows that are in memory at once: a history may hold a thousand articles."""
_BUFFER_BYTES = 1 << 20
"""Read ahead of each column; without it a column of a whole row group is in memory."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column to read. Where one that is not required is missing, its values are None."""

    name: str
    kind: Kind
    required: bool = True


def is_parquet(source: str) -> bool:
    """Whether a source is a Parquet file, by its name or its first bytes."""
    path = Path(source)
    if path.suffix.lower() == ".parquet":
        return True
    try:
        # Only files are looked into: what is read of a pipe is gone.
        if source == "-" or not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError:
        return False


def column_names(source: str) -> tuple[str, ...]:
    """The names of a file's columns. Raises as `read_table` does."""
    with _opened(source) as file:
        return tuple(file.schema_arrow.names)


def read_table(source: str, columns: Sequence[Column]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number, from 1, and values of every row, a thousand rows in memory at a time.

    Values are None where the file has none. Ids are texts, times are milliseconds since 1970 (None
    outside of the years 1 to 9999; a time without a zone is UTC). Raises `InvalidInput` naming the
    file, and the column that is missing or of another type; `ConfigurationError` without pyarrow.
    """
    number = 0
    with _opened(source) as file:
        schema = file.schema_arrow
        found = [column for column in columns if column.required or column.name in schema.names]
        for column in found:
            _check(source, column, schema)
        nothing = dict.fromkeys(column.name for column in columns)
        names = [column.name for column in found]
        for batch in file.iter_batches(_BATCH, columns=names, use_threads=False):
            values = [_values(batch.column(column.name), column.kind) for column in found]
            for row in zip(*values, strict=True):
                number += 1
                yield number, nothing | dict(zip(names, row, strict=True))


@contextmanager
def _opened(source: str) -> Iterator[Any]:
    """The file, as pyarrow's `ParquetFile`; its errors as ours."""
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{source} is Parquet, and {error.name} is not installed: pip install "
            "'interests[parquet]', or make parquet where you have the sources"
        ) from error
    try:
        with ParquetFile(source, buffer_size=_BUFFER_BYTES) as file:
            yield file
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise InvalidInput(f"cannot read {source}: {reason}") from error


def _check(source: str, column: Column, schema: Any) -> None:
    """Raise `InvalidInput` unless the file has this column, of this kind."""
    places = schema.get_all_field_indices(column.name)
    if len(places) != 1:
        what = f"{len(places)} columns have this name" if places else "the column is missing"
        raise InvalidInput(
            f"{source}: {column.name}: {what}; wanted are {_WANTED[column.kind]}, and the file's "
            f"columns are {', '.join(schema.names)}"
        )
    given = schema.field(places[0]).type
    if not _fits(given, column.kind):
        raise InvalidInput(
            f"{source}: {column.name}: the column is of {given}; wanted are {_WANTED[column.kind]}"
        )


def _fits(given: Any, kind: Kind) -> bool:
    from pyarrow import types

    if kind in ("ids", "texts", "times"):
        if not (types.is_list(given) or types.is_large_list(given)):
            return False
        given, kind = given.value_type, _OF_LISTS[kind]
    if types.is_null(given):  # a list that is empty in every row
        return True
    if kind == "time":
        return bool(types.is_timestamp(given) or types.is_date(given))
    if types.is_dictionary(given):
        given = given.value_type
    is_text = types.is_string(given) or types.is_large_string(given)
    return bool(is_text or (kind == "id" and types.is_integer(given)))


def _values(column: Any, kind: Kind) -> list[Any]:
    """The values of a batch's column, as `read_table` gives them."""
    import pyarrow

    if kind == "time":
        whole = column.cast(pyarrow.timestamp("ms", getattr(column.type, "tz", None)), safe=False)
        return [_known(at_ms) for at_ms in whole.cast(pyarrow.int64()).to_pylist()]
    if kind == "times":
        zone = getattr(column.type.value_type, "tz", None)
        whole = column.cast(pyarrow.list_(pyarrow.timestamp("ms", zone)), safe=False)
        rows = whole.cast(pyarrow.list_(pyarrow.int64())).to_pylist()
        return [None if row is None else list(map(_known, row)) for row in rows]
    read: list[Any] = column.to_pylist()
    if kind == "id":
        return list(map(_id, read))
    if kind == "ids":
        return [None if row is None else list(map(_id, row)) for row in read]
    return read


def _id(value: object) -> str | None:
    return None if value is None else str(value).strip() or None


def _known(at_ms: int | None) -> int | None:
    return at_ms if at_ms is not None and EARLIEST_MS <= at_ms <= LATEST_MS else None
