"""The seam between the suite and its engines, on one screen.

What can be portable SQL is portable SQL and stays out of here; the seam holds only what cannot be: lifecycle, bulk
load, bulk export, locking, and what an engine's errors mean. To add an engine: write these two classes, add a line to
`dwh/engines/choose.py`, and let the tests of the contract run on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
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
    """What one table of a lake is made of: a query without parameters, the columns of it that name folders
    (`year=2018/`) and are not in the files, and those that its files are sorted by. Of a table with such folders the
    first column it is sorted by is a time, never NULL: a folder of many rows is cut into files of whole days."""

    table: str
    query: str
    partition_by: tuple[str, ...]
    order_by: tuple[str, ...]


class Written(NamedTuple):
    """One Parquet file that was written: its path below the place that was asked for, and its rows."""

    path: str
    rows: int


class Answer(NamedTuple):
    """What a query gives: its columns in their order, each with its type as DuckDB names it (VARCHAR for what has no
    such type), and its rows as they come. Two columns of one name are told apart: `plays`, `plays_2`."""

    columns: Columns
    rows: Iterator[Row]


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


class Session(Protocol):
    """One connection. `lenient_json` tells whether the engine takes a comma too many and NaN, which JSON forbids;
    `reads_files` whether it loads a large local file from where it is, `reads_objects` a large object of S3;
    `exports_to_s3` whether it writes Parquet to an S3 prefix, and to no folder; `has_roles` whether rights can be
    granted to a role; `extra_tables` maps tables that a load needs besides, by name, to the statement that makes each,
    one column a line.

    Every method raises a DwhError for what the engine's driver raised, and Interrupted when a stop
    was asked for."""

    lenient_json: bool
    reads_files: bool
    reads_objects: bool
    exports_to_s3: bool
    has_roles: bool
    extra_tables: Mapping[str, str]

    def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        """Run one statement; gives the number of rows it changed (-1: not known)."""

    def rows(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        """Run one query; gives all its rows."""

    def ask(self, sql: str, params: Sequence[object] | None = None) -> Answer:
        """Run one SELECT that a person wrote, on one state of the warehouse, and give its rows as they come.

        It can change nothing, here or elsewhere: the session takes no other statement before and none after it. Without
        `params` the text has no parameters, and a percent sign is one. Raises ConfigError for anything that is not one
        SELECT, and for SQL that the engine does not understand.
        """

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

    def grant_readers(self, role: str, tables: Sequence[str]) -> None:
        """Let a role read these tables, and nothing more; again changes nothing. Only where `has_roles`.

        Raises ConfigError when there is no such role."""

    def publish(self, ours: Ours) -> Path | None:
        """Let readers see what is committed, where they read a copy: gives its path when it was written anew, None
        when it is current, or readers see commits by themselves. No transaction may be open.

        Raises EnvironmentFailure when the copy cannot be written, or its place is taken by what is not `ours`."""

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

    def connect(self, trace: Callable[[Trace], None], *, read_only: bool = False) -> Session:
        """Connect to a warehouse that is up. Raises EnvironmentFailure when it is not, Busy when another session holds
        it.

        With `read_only` the session needs no right to write, and keeps no other reader out; it may see a copy of the
        last published state (see `Session.publish`)."""

    def last_word(self) -> str:
        """Say what every script says last, however it ends: what stays up and is billed. Empty where nothing is."""
        return ""
