"""The events of a folder, read a segment at a time into a database of their own.

DuckDB holds them: it reads Parquet and JSON lines by the same statements, only the columns that are
asked for, and puts on the disk what does not fit into its share of the memory.
"""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from models.progress import Stage, no_stage
from service.errors import ConfigurationError, InvalidInput
from service.events.export.ids import segment_of
from service.records import DOMAINS

_MEMORY = "600MB"

_PLACEMENTS = "STRUCT(key VARCHAR, assigned VARCHAR, reason VARCHAR)[]"
# The columns that are read, as JSON lines must give them; times are texts there, or milliseconds.
_JSON_COLUMNS = {
    "exposures": {
        "at": "VARCHAR",
        "user_id": "VARCHAR",
        "degraded": "VARCHAR[]",
        "coverage_queries": "DOUBLE",
        "placements": _PLACEMENTS,
        "candidates": "JSON[]",
        "timings_ms": "STRUCT(total DOUBLE)",
        "signals": "STRUCT(search INT, browse INT, purchase INT, video INT, news INT)",
    },
    "feedback": {
        "request_id": "VARCHAR",
        "user_id": "VARCHAR",
        "kind": "VARCHAR",
        "article_id": "VARCHAR",
        "at": "VARCHAR",
        "dwell_ms": "BIGINT",
        "exposed_at": "VARCHAR",
        "placements": _PLACEMENTS,
    },
}
_SIGNALS = " + ".join(f"coalesce(signals.{name}, 0)" for name in DOMAINS)
_MOST = f"greatest({', '.join(f'coalesce(signals.{name}, 0)' for name in DOMAINS)})"
# The domain with the most signals, the first of them where several have as many.
_DOMAIN = (
    "CASE " + " ".join(f"WHEN signals.{name} = {_MOST} THEN '{name}'" for name in DOMAINS) + " END"
)
_FORCED = "coalesce(placed.reason IN ('override', 'allowlist'), false)"
_OWN = "list_filter(placements, lambda one: one.key = $key)[1] AS placed"

_TABLES = """
CREATE TABLE exposures (
    user_id VARCHAR, at_ms BIGINT, arm VARCHAR, forced BOOLEAN, total_ms DOUBLE, degraded BOOLEAN,
    empty BOOLEAN, covered DOUBLE, signals INT, domain VARCHAR
);
CREATE TABLE feedback (
    user_id VARCHAR, request_id VARCHAR, article_id VARCHAR, at_ms BIGINT, exposed_ms BIGINT,
    forced BOOLEAN, kind VARCHAR, dwell_ms BIGINT
);
"""
_INSERT = {
    "exposures": f"""
        INSERT INTO exposures
        SELECT user_id, {{at}}, placed.assigned, {_FORCED}, timings_ms.total, len(degraded) > 0,
            len(candidates) = 0, coverage_queries, {_SIGNALS}, {_DOMAIN}
        FROM (SELECT *, {_OWN} FROM {{source}})
        """,
    "feedback": f"""
        INSERT INTO feedback
        SELECT user_id, request_id, article_id, {{at}}, {{exposed_at}}, {_FORCED}, kind, dwell_ms
        FROM (SELECT *, {_OWN} FROM {{source}})
        """,
}
_KEYS = "SELECT DISTINCT unnest(placements).key FROM {source}"


@dataclass(frozen=True, slots=True)
class Source:
    """A file of events."""

    path: Path
    table: str
    """`exposures` or `feedback`."""

    def sql(self) -> str:
        """What reads it."""
        path = glob.escape(str(self.path)).replace("'", "''")
        if self.path.suffix == ".parquet":
            return f"read_parquet('{path}')"
        columns = ", ".join(f"'{name}': '{kind}'" for name, kind in self._columns().items())
        return f"read_json('{path}', format='newline_delimited', columns={{{columns}}})"

    def at(self, column: str) -> str:
        """What turns a column of times into milliseconds since 1970."""
        if self.path.suffix == ".parquet":
            return f'epoch_ms("{column}")'
        return f'coalesce(try_cast("{column}" AS BIGINT), epoch_ms("{column}"::TIMESTAMPTZ))'

    def _columns(self) -> dict[str, str]:
        return _JSON_COLUMNS[self.table]


def sources(folder: Path) -> list[Source]:
    """The files to read of a folder's complete segments, by segment.

    Raises `InvalidInput` where the folder, or a segment's file, is not there.
    """
    if not folder.is_dir():
        raise InvalidInput(
            f"no folder {folder}: write one with `interests events export {folder}`",
            field="--events",
        )
    segments = sorted(one for one in folder.iterdir() if segment_of(one.name))
    if not segments:
        raise InvalidInput(
            f"{folder} holds no segment of events: write them with `interests events export "
            f"{folder}`",
            field="--events",
        )
    return [Source(_file(segment, table), table) for segment in segments for table in _INSERT]


def _file(segment: Path, table: str) -> Path:
    for path in (segment / f"{table}.parquet", segment / f"{table}.jsonl"):
        if path.is_file():
            return path
    raise InvalidInput(
        f"{segment} has neither {table}.parquet nor {table}.jsonl: export it again",
        field="--events",
    )


@contextmanager
def opened(
    key: str, files: list[Source], stage: Stage = no_stage
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with the tables `exposures` and `feedback`, as seen by the experiment of a key.

    An exposure's `arm` is the one that was assigned, null where the user was not in the experiment;
    `forced` says that the request or the allowlist chose it. Raises `InvalidInput` naming the file
    that cannot be read, or, where no exposure knows the key, the keys that there are;
    `ConfigurationError` where the disk for temporary files is full.
    """
    with tempfile.TemporaryDirectory(prefix="interests-events-") as spilled, _room(spilled):
        limits: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": _MEMORY,
            "temp_directory": spilled,
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        with duckdb.connect(":memory:", config=limits) as database:
            database.execute("SET TimeZone = 'UTC'")
            database.execute(_TABLES)
            told = stage("reading segments", len(files))
            for file in files:
                _read(database, file, key)
                told(1)
            found = database.execute("SELECT 1 FROM exposures WHERE arm IS NOT NULL LIMIT 1")
            if found.fetchone() is None:
                raise InvalidInput(_no_such_key(database, key, files), field="KEY")
            yield database


@contextmanager
def _room(spilled: str) -> Iterator[None]:
    """Say where room is needed, if it runs out."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        reason = str(error).partition("\n")[0]
        raise ConfigurationError(
            f"no room for the events in {spilled}: {reason}; make room, or set TMPDIR to another "
            "place"
        ) from error


def _read(database: duckdb.DuckDBPyConnection, file: Source, key: str) -> None:
    statement = _INSERT[file.table].format(
        source=file.sql(), at=file.at("at"), exposed_at=file.at("exposed_at")
    )
    try:
        database.execute(statement, {"key": key})
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0]
        raise InvalidInput(
            f"cannot read {file.path}: {reason}; export this segment again", field="--events"
        ) from error


def _no_such_key(database: duckdb.DuckDBPyConnection, key: str, files: list[Source]) -> str:
    known: set[str] = set()
    for file in files:
        if file.table == "exposures":
            rows = database.execute(_KEYS.format(source=file.sql())).fetchall()
            known.update(row[0] for row in rows if row[0] is not None)
    if not known:
        return f"no user of these events is in an experiment, so none in {key}"
    return f"no user of these events is in {key}; the experiments are: {', '.join(sorted(known))}"
