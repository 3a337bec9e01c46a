"""The files of a segment as Parquet. Needs pyarrow: import it only where Parquet is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from service.events.export.folder import TABLES
from service.events.export.rows import PLACEMENT, QUERY, TIMINGS, Candidates, Row
from service.events.export.tables import abandon, sync
from service.records import DOMAINS

_GROUP_ROWS = 5_000
"""Rows of a row group: what is in memory of a table."""

_TIME = pa.timestamp("ms", "UTC")
_TEXTS = pa.list_(pa.string())
_QUERY_TYPES = (pa.string(), pa.float64(), pa.int32(), pa.int32(), pa.string())
_PLACEMENTS = pa.list_(pa.struct([(name, pa.string()) for name in PLACEMENT]))
_QUERIES = pa.list_(pa.struct(list(zip(QUERY, _QUERY_TYPES, strict=True))))
_TIMINGS = pa.struct([(name, pa.float64()) for name in TIMINGS])
_SCORED = [("id", pa.string()), ("score", pa.float64())]
_MATCHED = pa.list_(pa.int32())

SCHEMAS = {
    "exposures": pa.schema(
        [
            ("request_id", pa.string()),
            ("at", _TIME),
            ("process", pa.uint32()),
            ("sequence", pa.uint32()),
            ("user_id", pa.string()),
            ("student", pa.string()),
            ("queries_from", pa.string()),
            ("candidates_from", pa.string()),
            ("degraded", _TEXTS),
            ("coverage_queries", pa.float64()),
            ("coverage_shards", pa.float64()),
            ("placements", _PLACEMENTS),
            ("queries", _QUERIES),
            ("candidates", pa.list_(pa.struct([*_SCORED, ("matched", _MATCHED)]))),
            ("timings_ms", _TIMINGS),
            ("signals", pa.struct([(name, pa.int32()) for name in DOMAINS])),
        ]
    ),
    "feedback": pa.schema(
        [
            ("request_id", pa.string()),
            ("event_id", pa.string()),
            ("user_id", pa.string()),
            ("kind", pa.string()),
            ("article_id", pa.string()),
            ("at", _TIME),
            ("dwell_ms", pa.int64()),
            ("joined", pa.bool_()),
            ("exposed_at", _TIME),
            ("student", pa.string()),
            ("placements", _PLACEMENTS),
            ("place", pa.int32()),
            ("matched", _TEXTS),
        ]
    ),
    "shadows": pa.schema(
        [
            ("request_id", pa.string()),
            ("at", _TIME),
            ("user_id", pa.string()),
            ("key", pa.string()),
            ("layer", pa.string()),
            ("arm", pa.string()),
            ("student", pa.string()),
            ("queries_from", pa.string()),
            ("candidates_from", pa.string()),
            ("degraded", _TEXTS),
            ("queries", _QUERIES),
            ("candidates", pa.list_(pa.struct(_SCORED))),
            ("timings_ms", _TIMINGS),
            ("joined", pa.bool_()),
            ("served_student", pa.string()),
            ("same_first_10", pa.float64()),
            ("same_first_50", pa.float64()),
        ]
    ),
    "ends": pa.schema([("process", pa.uint32()), ("sequence", pa.uint32()), ("at", _TIME)]),
}


class ParquetTables:
    """Parquet with row groups of some thousand rows, packed by zstd."""

    def __init__(self, folder: Path) -> None:
        self._tables = {table: _Table(folder, table) for table in TABLES}

    def add(self, table: str, rows: Sequence[Row]) -> None:
        """Write rows of one table."""
        self._tables[table].add(rows)

    def finish(self) -> None:
        """Write what is left, and have it on the disk."""
        for table in self._tables.values():
            table.finish()

    def close(self) -> None:
        """Let the files go."""
        for table in self._tables.values():
            table.close()


class _Table:
    """One file. Rows become Arrow's at once, which takes a tenth of the memory of Python's."""

    def __init__(self, folder: Path, table: str) -> None:
        self._schema = SCHEMAS[table]
        self._file = _Sink(folder / f"{table}.parquet")
        self._writer = ParquetWriter(self._file, self._schema, compression="zstd")
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def add(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        columns = [_column([row[field.name] for row in rows], field.type) for field in self._schema]
        self._waiting.append(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self._rows += len(rows)
        if self._rows >= _GROUP_ROWS:
            self._write()

    def finish(self) -> None:
        self._write()
        self._writer.close()
        sync(self._file.file)

    def close(self) -> None:
        # The writer writes the end of its file when it is let go, whatever has become of it.
        self._file.deaf = True
        self._writer.close()
        abandon(self._file.file)

    def _write(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting, self._schema)
            self._waiting, self._rows = [], 0
            self._writer.write_table(table, row_group_size=table.num_rows)


class _Sink:
    """The file that pyarrow writes to. Python's errors come through it as they are.

    Once it is `deaf` it takes what is written and does nothing with it.
    """

    closed = False
    deaf = False

    def __init__(self, path: Path) -> None:
        self.file = path.open("xb")

    def write(self, data: bytes) -> int:
        return len(data) if self.deaf else self.file.write(data)

    def tell(self) -> int:
        return self.file.tell()

    def flush(self) -> None:
        if not self.deaf:
            self.file.flush()

    def close(self) -> None:
        """Left to `_Table`: the file is synced after pyarrow is done with it."""


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if values and isinstance(values[0], Candidates):
        return _candidates(values, kind)
    return pa.array(values, kind)


def _candidates(lists: list[Candidates], kind: pa.DataType) -> pa.Array:
    """Lists of candidates out of flat columns, without an object for each candidate."""
    of = kind.value_type
    columns = [
        pa.array(list(chain.from_iterable(one.ids for one in lists)), pa.string()),
        pa.array(list(chain.from_iterable(one.scores for one in lists)), pa.float64()),
    ]
    if of.num_fields == 3:
        matched = list(chain.from_iterable(one.matched or () for one in lists))
        flat = pa.array(list(chain.from_iterable(matched)), pa.int32())
        columns.append(pa.ListArray.from_arrays(_offsets(map(len, matched)), flat))
    structs = pa.StructArray.from_arrays(columns, fields=list(of))
    return pa.ListArray.from_arrays(_offsets(len(one.ids) for one in lists), structs)


def _offsets(lengths: Any) -> pa.Array:
    return pa.array(accumulate(lengths, initial=0), pa.int32())
