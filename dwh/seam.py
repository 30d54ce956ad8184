"""The seam between the suite and its engines, on one screen.

What can be portable SQL is portable SQL and stays out of here; the seam holds only what cannot be: lifecycle, bulk
load, bulk export, locking, and what an engine's errors mean. To add an engine: write these two classes, add a line to
`dwh/engines/choose.py`, and let the tests of the contract run on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime, time, timedelta
from itertools import chain
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

Tell = Callable[[str], None]
Row = tuple[Any, ...]
Address = Mapping[str, str]
Columns = Mapping[str, str]  # names and types

# How the keys begin that the spool adds to a record; a file that is read in place has none of them. Somebody else's
# keys of that name are dropped.
OUR_KEYS = "dwh_"
FILE_KEY = "dwh_file_id"


class Change(NamedTuple):
    """One thing an action makes (+), changes (~), removes (-) or finds as it should be (=).

    `beside`: it is not the warehouse itself but something around it, such as who may connect."""

    mark: Literal["+", "~", "-", "="]
    what: str
    beside: bool = False

    def __str__(self) -> str:
        return f"{self.mark} {self.what}"


class Trace(NamedTuple):
    """One statement that ran: its text, the rows it changed or gave (-1: not known), and its seconds."""

    sql: str
    rows: int
    seconds: float


class Thing(NamedTuple):
    """Something that stands in the place of a warehouse: `kind` as people call it (table, view, function), `name` as
    our statements would reach it; what they would not reach has its schema in front."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Extract(NamedTuple):
    """What one table of a lake is made of: a query without parameters or percent signs, the columns of it that name
    folders (`year=2018/`) and are not in the files, and those that its files are sorted by. Of a table with such
    folders, or one written in pieces of days, the first column it is sorted by is a time, never NULL: what has many
    rows is cut into files of whole days. `field_ids` are the numbers by which Iceberg knows the columns."""

    table: str
    query: str
    partition_by: tuple[str, ...]
    order_by: tuple[str, ...]
    field_ids: Mapping[str, int] = MappingProxyType({})


class Piece(NamedTuple):
    """Some rows of an extract, which become files of their own: those of these days, the first and the last included
    (None: all rows). `name` begins the names of the files, and those of no other files in their folder."""

    name: str
    days: tuple[date, date] | None


class Written(NamedTuple):
    """One Parquet file that was written: its path below the place that was asked for, and its rows."""

    path: str
    rows: int


class Part(NamedTuple):
    """A file an engine loads. `file_id` is None when the records in it name their own file."""

    path: str
    file_id: int | None


class Ours(NamedTuple):
    """What a warehouse of this suite is known by: `tables` maps each of its tables to its columns, `drops` to the
    statement that drops it; `marker` is the one that says that it is ours, `look` the query that reads it (rows, schema
    version, made by), `newest` the last schema version that is known; `earlier` are the tables, with all their columns,
    by which one is known that was made before there was a marker; `ledger` is the one that loads lock."""

    tables: Mapping[str, Columns]
    drops: Mapping[str, str]
    marker: str
    look: str
    newest: int
    earlier: Mapping[str, Columns]
    ledger: str


def select_pieces(extract: Extract, pieces: Sequence[Piece]) -> tuple[str, tuple[datetime, ...]]:
    """Give the query for the rows of one piece or more, in no order, and its parameters."""
    spans = [piece.days for piece in pieces if piece.days]
    if len(spans) < len(pieces):
        return extract.query, ()
    # on the column itself, not on its day, so that an engine passes over blocks of other times
    column, merged = extract.order_by[0], _merge(spans)
    condition = " OR ".join(f"({column} >= %s AND {column} <= %s)" for _ in merged)
    times = [(datetime.combine(first, time.min), datetime.combine(last, time.max)) for first, last in merged]
    sql = f"SELECT * FROM ({extract.query}) AS r WHERE {condition}"  # noqa: S608
    return sql, tuple(chain.from_iterable(times))


def _merge(spans: Iterable[tuple[date, date]]) -> list[tuple[date, date]]:
    merged: list[tuple[date, date]] = []
    for first, last in sorted(spans):
        if merged and first - merged[-1][1] <= timedelta(days=1):
            first, last = merged[-1][0], max(merged.pop()[1], last)
        merged.append((first, last))
    return merged


class Session(Protocol):
    """One connection. `lenient_json` tells whether the engine takes a comma too many and NaN, which JSON forbids;
    `reads_files` whether it loads a large local file from where it is, `reads_objects` a large object of S3;
    `exports_to_s3` whether it writes Parquet to an S3 prefix, and to no folder; `extra_tables` maps tables that a load
    needs besides, by name, to the statement that makes each, one column a line.

    Every method raises a DwhError for what the engine's driver raised, and Interrupted when a stop
    was asked for."""

    lenient_json: bool
    reads_files: bool
    reads_objects: bool
    exports_to_s3: bool
    extra_tables: Mapping[str, str]

    def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        """Run one statement; gives the number of rows it changed (-1: not known)."""

    def rows(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        """Run one query; gives all its rows."""

    def columns(self, table: str) -> dict[str, str]:
        """Give the columns of one of our tables and their types as the engine names them; empty when there is no such
        table, or when it may not be read."""

    def contents(self) -> list[Thing]:
        """Name all that stands where our tables are made, whoever made it and whoever may read it: the schema, or the
        DuckDB file with all its schemas."""

    def dependents(self, tables: Sequence[str]) -> list[Thing]:
        """Name the views, wherever they stand, that cannot be without these tables."""

    def transaction(self, lock: str | None = None, patience: float = 0.0) -> AbstractContextManager[None]:
        """Open a transaction that commits at the end of the block and rolls back when it raises.

        Without a lock it sees one state of the warehouse, from beginning to end. `lock` names the table whose lock is
        the first statement: two loads never run at once. Raises Busy when it is not free within `patience` seconds.
        """

    def load(self, table: str, keys: Mapping[str, str], parts: Sequence[Part]) -> None:
        """Bulk load files of one JSON object a line into a table of text columns.

        `keys` maps JSON keys to columns; a missing key is NULL, an unknown one ignored. Column file_id of a part that
        names a file is that file's id. A part may be an object of S3 where the engine reads those.
        Raises RecordsRefused when a record is not such an object: the transaction is lost then.
        """

    def load_through(self, insert: str, table: str, keys: Mapping[str, str], parts: Sequence[Part]) -> None:
        """Load files, and run an INSERT that selects FROM such a table on their records, which an engine that can reads
        straight from the files: what the table holds afterwards is not said. Raises what `load` raises.
        """

    def export(self, extract: Extract, target: str) -> Iterator[Written]:
        """Write the rows of a query as Parquet below `target`, an empty folder or S3 prefix: sorted, ZSTD (Redshift:
        Snappy), times in microseconds. Gives each file when it is whole.

        Inside a transaction it sees what that sees. Raises EnvironmentFailure when the target cannot be written; the
        caller removes what is there then.
        """

    def write_pieces(
        self, extract: Extract, pieces: Sequence[Piece], target: str
    ) -> Iterator[tuple[Piece, list[Written]]]:
        """Write pieces of a table, one after the other, as Parquet files directly below `target`, a folder or S3
        prefix. They are sorted, from file to file of a piece too, compressed and with times as `export` has them; every
        column of the query is in every file, whatever `extract.partition_by` says. Gives each piece with its files when
        they are whole. No row of other days is fetched from a server, and none twice.

        A piece without rows has no file. The files are called `<name>-00000.parquet` and so on (Redshift:
        `<name>.000.parquet`); what is called so already is in the way, or lost. A piece of many rows becomes several
        files: of whole days, unless it is all rows or one day (Redshift: of so many bytes). Redshift writes no
        `field_ids`.

        Inside a transaction it sees what that sees. Raises EnvironmentFailure when the target cannot be written; the
        caller removes what is there then.
        """

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""


class Engine(Protocol):
    """One place where a warehouse can live, and its lifecycle."""

    name: str
    place: str
    patience: float  # seconds that `start` may take; conn_start.py --timeout sets it
    another: str  # the edit of dwh.cfg that names another warehouse

    @property
    def address(self) -> Address:
        """Name the place of the warehouse so that no other warehouse has the same name: `engine`, then where it is.

        It follows from the settings alone, stays when the warehouse is removed and made again there, and holds no
        secret and no user. `place` is what people read. Raises ConfigError when the settings leave it open.
        """

    def plan(self, action: Literal["start", "stop", "delete"], ours: Ours | None = None) -> list[Change]:
        """Say what an action would change, without changing anything. `delete` needs `ours`, and raises what `stop`
        would."""

    def start(self, tell: Tell) -> list[Change]:
        """Bring the warehouse up, or find that it is; raises Busy while somebody else holds it."""

    def stop(self, tell: Tell, *, delete: Ours | None = None) -> list[Change]:
        """Close the warehouse; with `delete` also remove its tables, and where nothing else stands what `start` made.

        Raises EnvironmentFailure, and removes nothing, when the tables are not ours, or something of somebody else
        needs them."""

    def connect(self, trace: Callable[[Trace], None]) -> Session:
        """Connect to a warehouse that is up. Raises EnvironmentFailure when it is not, Busy when somebody else holds
        it."""

    def last_word(self) -> str:
        """Say what every script says last, however it ends: what stays up and is billed. Empty where nothing is."""
        return ""
