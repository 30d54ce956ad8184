"""DuckDB: the warehouse is one file, and one process at a time may open it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dwh.engines import FILE_KEY, OUR_KEYS, Address, Change, Engine, Extract, Row, Tell, Thing, Trace, Written
from dwh.engines.duckdb_catalog import COLUMNS, CONTENTS, find_dependents
from dwh.engines.duckdb_errors import server_error
from dwh.engines.removal import Place, drop_tables, plan_removal, tell_tables
from dwh.errors import ConfigError, EnvironmentFailure
from dwh.marks import near
from dwh.signals import cancelled_by

if TYPE_CHECKING:
    import duckdb

    from dwh.ownership import Ours
    from dwh.settings import DuckDb
    from dwh.spool import Part

# The spool lets no line through that is longer than 4 MB and the text kept of a bad record; DuckDB's buffers grow
# with this.
LONGEST_LINE = 8 * 1024 * 1024


class DuckDbEngine(Engine):
    """A database file, made by `start` and removed only by `stop(delete=...)`, when nothing else is in it."""

    name = "duckdb"
    patience = 1800.0
    another = "[DUCKDB] PATH = another.duckdb"

    def __init__(self, settings: DuckDb) -> None:
        self.settings = settings
        self.path = Path(settings.path)
        self.place = near(self.path)

    @property
    def address(self) -> Address:
        """Name the file as no link does. Not the machine: a container has another name each time it runs."""
        return {"engine": self.name, "file": os.path.realpath(self.path)}

    def plan(self, action: Literal["start", "stop", "delete"], ours: Ours | None = None) -> list[Change]:
        """Say what an action would change."""
        there = self.path.exists()
        if action == "start":
            return [Change("=" if there else "+", self.place)]
        if not there:
            return [Change("=", f"{self.place} does not exist")]
        if action == "delete" and ours:
            with closing(self._open(lambda _trace: None)) as session:
                removal = plan_removal(session, ours, self._file)
            if removal.others:
                return tell_tables(removal, self._file)
        return [Change("-" if action == "delete" else "=", f"{self.place}, {_size(self.path)}")]

    def start(self, tell: Tell) -> list[Change]:
        """Make the database file and its folder, or find that the file opens; again changes nothing."""
        made = not self.path.exists()
        if made:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise EnvironmentFailure(
                    f"the folder {self.path.parent} cannot be made", evidence=str(error), hint="[DUCKDB] PATH"
                ) from error
            tell(f"making {self.place}")
        self._open(lambda _trace: None).close()
        return [Change("+" if made else "=", self.place)]

    def stop(self, tell: Tell, *, delete: Ours | None = None) -> list[Change]:
        """Write everything into the one file, so that it can be copied; with `delete` remove it, or when something else
        is in it, our tables."""
        if not self.path.exists():
            return [Change("=", f"{self.place} does not exist")]
        with closing(self._open(lambda _trace: None)) as session:
            removal = plan_removal(session, delete, self._file) if delete else None
            if removal and removal.others and delete:
                tell(f"dropping {len(removal.tables)} tables")
                drop_tables(session, delete, removal)
            tell("writing everything to the file")
            session.execute("CHECKPOINT")
        if removal is None:
            return [Change("=", f"{self.place}, {_size(self.path)}")]
        if removal.others:
            return tell_tables(removal, self._file)
        size = _size(self.path)
        for path in (self.path, self.path.with_name(self.path.name + ".wal")):
            path.unlink(missing_ok=True)
        import shutil

        shutil.rmtree(_spill_folder(self.path), ignore_errors=True)
        return [Change("-", f"{self.place}, {size}")]

    def connect(self, trace: Callable[[Trace], None]) -> DuckDbSession:
        """Open the database file; raises EnvironmentFailure when conn_start.py has not made it."""
        if not self.path.exists():
            raise EnvironmentFailure(f"{self.place} does not exist", hint="python conn_start.py")
        return self._open(trace)

    @property
    def _file(self) -> Place:
        return Place(self.place, self.another)

    def _open(self, trace: Callable[[Trace], None]) -> DuckDbSession:
        return open_file(self.settings, self.path, trace, self.place)


def open_file(settings: DuckDb, path: Path, trace: Callable[[Trace], None], place: str) -> DuckDbSession:
    """Open a database file, or make it: the warehouse, or one in a private folder. `place` is what errors call it."""
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise EnvironmentFailure(
            f"the Python package {error.name} is not installed here",
            hint=(". .venv/bin/activate     (./run_all.sh makes it)", "pip install -r requirements.txt"),
        ) from error

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{settings.memory_limit}B",
        "preserve_insertion_order": False,
        # not five groups of 122,880 rows: 0.69 of the memory, 0.96 of the CPU, and a file of the same size
        "write_buffer_row_group_count": 1,
        "temp_directory": str(_spill_folder(path)),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        # nothing of Python stands for a table that is not there
        "python_enable_replacements": False,
    }
    if settings.threads:
        config["threads"] = settings.threads
    if re.search(r"[?\\]", str(path)):
        # measured: it keeps the write-ahead log elsewhere for the one, and the whole file for the other
        raise ConfigError(f"DuckDB takes no path with ? or \\ in it: {path}", hint="[DUCKDB] PATH")
    try:
        return DuckDbSession(duckdb.connect(str(path), config=config), trace, place)
    except duckdb.Error as error:
        raise server_error(error, place) from error


def _spill_folder(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")


class DuckDbSession:
    """One connection to the file; while it is open no other process can open it."""

    lenient_json = True
    reads_files = True
    reads_objects = False
    exports_to_s3 = False
    extra_tables: Mapping[str, str] = {}

    def __init__(self, connection: duckdb.DuckDBPyConnection, trace: Callable[[Trace], None], place: str) -> None:
        self._connection = connection
        self._trace = trace
        self._place = place
        # DuckDB knows OCTET_LENGTH for BLOBs only; the rules of a record count the bytes of text
        self._connection.execute("CREATE OR REPLACE TEMP MACRO octet_length(text) AS strlen(text)")
        self._connection.execute(_QUICK_TRIM)
        self._connection.execute(_JOIN_AS_WRITTEN)

    def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        """Run one statement; DuckDB answers an INSERT or DELETE with one row, the number of rows."""
        answer = self._run(sql, params)
        return int(answer[0][0]) if answer and isinstance(answer[0][0], int) else -1

    def rows(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        """Run one query."""
        return self._run(sql, params)

    def columns(self, table: str) -> dict[str, str]:
        """Give the columns of a table."""
        return dict(self._run(COLUMNS, (table,)))

    def contents(self) -> list[Thing]:
        """Name all that stands in the file."""
        return [Thing(*row) for row in self._run(CONTENTS, ())]

    def dependents(self, tables: Sequence[str]) -> list[Thing]:
        """Name the views that cannot be without these tables."""
        return find_dependents(self, tables)

    @contextmanager
    def transaction(self, lock: str | None = None, patience: float = 0.0) -> Iterator[None]:  # noqa: ARG002
        """Open a transaction. The file has one process as its owner, so `lock` needs no statement here."""
        self._connection.execute(_JOIN_AS_WRITTEN)  # load_through cannot say so in a transaction that has failed
        self._run("BEGIN TRANSACTION", ())
        try:
            yield
            self._run("COMMIT", ())
        except BaseException:
            self._roll_back()
            raise

    def load(self, table: str, keys: Mapping[str, str], parts: Sequence[Part]) -> None:
        """Bulk load JSON lines, every value as text."""
        columns = ", ".join(f'"{column}"' for column in keys.values())
        for records, params in _select_records(keys, parts):
            self.execute(f"INSERT INTO {table} ({columns}) {records}", params)

    def load_through(self, insert: str, table: str, keys: Mapping[str, str], parts: Sequence[Part]) -> None:
        """Run the INSERT while the files are read."""
        self._connection.execute(_FILTER_AS_WRITTEN)
        for records, params in _select_records(keys, parts):
            self.execute(insert.replace(f"FROM {table}", f"FROM ({records}) AS {table}"), params)
        self._connection.execute(_JOIN_AS_WRITTEN)

    def export(self, extract: Extract, target: str) -> Iterator[Written]:
        """Write the rows of a query as Parquet."""
        from dwh.engines.parquet import write_parquet

        return write_parquet(self, extract, target)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _run(self, sql: str, params: Sequence[object]) -> list[Row]:
        import duckdb

        started = time.monotonic()
        try:
            with cancelled_by(self._connection.interrupt):
                rows: list[Row] = self._connection.execute(sql.replace("%s", "?"), list(params)).fetchall()
        except duckdb.Error as error:
            raise server_error(error, self._place) from error
        changed = bool(rows) and sql.lstrip().startswith(("INSERT", "DELETE", "UPDATE"))
        self._trace(Trace(sql, rows[0][0] if changed else len(rows), time.monotonic() - started))
        return rows

    def _roll_back(self) -> None:
        import duckdb

        # after some errors DuckDB has ended the transaction by itself, and then there is nothing to roll back
        with suppress(duckdb.Error, RuntimeError):
            self._connection.execute("ROLLBACK")
        with suppress(duckdb.Error):
            self._connection.execute(_JOIN_AS_WRITTEN)  # load_through may have ended before it said so again


# What TRIM(BOTH ' ' FROM x) means here, for one character: the built-in one walks through every character of every text
# (0.9 s of CPU for a million user agents; this 0.05 s).
_QUICK_TRIM = """
CREATE OR REPLACE TEMP MACRO trim(text, character) AS
CASE WHEN starts_with(text, character) OR ends_with(text, character)
    THEN rtrim(ltrim(text, character), character)
    ELSE text
END
"""
# The right side of a join is the one kept in memory, as it is written, and in our statements that is the narrow one.
# DuckDB guesses that an EXISTS lets a fifth through, and so kept a million plays in memory to look up 15,000 songs.
_JOIN_AS_WRITTEN = "SET disabled_optimizers = 'build_side_probe_side'"
# While records are read and judged: every value is found once, below the rules that look at it. Pushed down, the rules
# would find each for themselves.
_FILTER_AS_WRITTEN = "SET disabled_optimizers = 'build_side_probe_side,filter_pushdown'"
# Nothing is left for DuckDB to guess, neither from a path nor from content: `level=paid/` on the path of a file, or of
# the temporary folder, would stand in the column of that name instead of what the record says.
_READ_JSON = (
    "read_json(%s, columns = %s, format = 'newline_delimited', records = true, filename = true, "
    f"maximum_object_size = {LONGEST_LINE}, auto_detect = false, compression = 'none', ignore_errors = false, "
    "hive_partitioning = false, hive_types_autocast = false, union_by_name = false, allow_empty = false, "
    "convert_strings_to_integers = false)"
)


def _select_records(keys: Mapping[str, str], parts: Sequence[Part]) -> Iterator[tuple[str, Sequence[object]]]:
    """Give queries, and their parameters, for the records of files: every key as text, in a column of its own."""
    spooled = [literally(part.path) for part in parts if part.file_id is None]
    if spooled:
        values = ", ".join(f'"{key}" AS "{column}"' for key, column in keys.items())
        yield f"SELECT {values} FROM {_READ_JSON}", (spooled, dict.fromkeys(keys, "VARCHAR"))  # noqa: S608
    in_place = {part.path: part.file_id for part in parts if part.file_id is not None}
    if in_place:
        own = {key: "VARCHAR" for key in keys if not key.startswith(OUR_KEYS)}
        known = {FILE_KEY: "f.file_id", **{key: f'r."{key}"' for key in own}}
        values = ", ".join(f'{known.get(key, "CAST(NULL AS VARCHAR)")} AS "{column}"' for key, column in keys.items())
        yield (
            f"SELECT {values} FROM {_READ_JSON} AS r "  # noqa: S608
            "JOIN (SELECT UNNEST(%s) AS path, UNNEST(%s) AS file_id) AS f ON f.path = r.filename",
            ([literally(path) for path in in_place], own, list(in_place), list(in_place.values())),
        )


def literally(path: str) -> str:
    """Give a path that DuckDB does not take for a pattern."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
