"""The seam between the suite and its engines, on one screen.

The seam holds only what cannot be portable SQL: lifecycle, bulk load, bulk export, locking, and the meaning of an
engine's errors. To add an engine: write two classes, add a line to `dwh/engines/choose.py`, run the contract's tests.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

Tell = Callable[[str], None]
Row = tuple[Any, ...]
Address = Mapping[str, str]
Columns = Mapping[str, str]  # names and types

# The prefix of the keys that the spool adds to a record. Keys in the data that begin so are dropped.
OUR_KEYS = "dwh_"
FILE_KEY = "dwh_file_id"


def ignore(_message: str) -> None:
    """Tell nobody."""


class Change(NamedTuple):
    """One thing that an action makes (+), changes (~), removes (-) or leaves as it is (=). `beside`: it is not the
    warehouse itself but something around it, such as the network rule."""

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
    """Something at the place of a warehouse: its `kind` (table, view, function), and its `name` as our statements would
    write it; a name that they cannot reach has its schema in front."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Comment(NamedTuple):
    """What the database says of a column, or of a table when `column` is empty; None: nothing."""

    table: str
    column: str
    text: str | None


class Extract(NamedTuple):
    """The source of one table of a lake: a query without parameters or percent signs, its columns that name folders
    (`year=2018/`) and are not in the files, and the columns by which the files are sorted. A table with such folders,
    or one written in pieces of days, is sorted first by a time that is never NULL: its files hold whole days.
    `field_ids` are Iceberg's numbers of the columns (empty: none are written)."""

    table: str
    query: str
    partition_by: tuple[str, ...]
    order_by: tuple[str, ...]
    field_ids: Mapping[str, int] = MappingProxyType({})


class Piece(NamedTuple):
    """Rows of an extract that get files of their own: those of these days, first and last included (None: all rows).
    `name` begins the names of the files; no two pieces in a folder have the same one."""

    name: str
    days: tuple[date, date] | None


class Written(NamedTuple):
    """One Parquet file that was written: its path below the target, and its number of rows."""

    path: str
    rows: int


class Answer(NamedTuple):
    """What a query gives: its columns in their order, each with its type as DuckDB names it (VARCHAR for what has no
    such type), and its rows as they come. Two columns of one name are told apart: `plays`, `plays_2`."""

    columns: Columns
    rows: Iterator[Row]


class Wear(NamedTuple):
    """A table, its rows, and how many of these are deleted and still take room."""

    table: str
    rows: int
    deleted: int

    @property
    def is_worn(self) -> bool:
        """Tell whether more than a fifth of the rows are deleted."""
        return self.deleted * 5 > self.rows


class Part(NamedTuple):
    """A file an engine loads. `file_id` is None when the records in it name their own file."""

    path: str
    file_id: int | None


class Ours(NamedTuple):
    """How to recognise a warehouse of this suite. `tables` maps each of its tables to its columns, `drops` to the
    statement that drops it. `marker` is the table that marks it as ours, `look` the query that reads it (rows, schema
    version, made by), `newest` the latest known schema version. `earlier` are the tables, with all their columns, that
    identify a warehouse made before there was a marker. `ledger` is the table that loads lock. `since` maps tables that
    came later to the schema version that brought them: in a warehouse of an earlier one, such a name is another's."""

    tables: Mapping[str, Columns]
    drops: Mapping[str, str]
    marker: str
    look: str
    newest: int
    earlier: Mapping[str, Columns]
    ledger: str
    since: Mapping[str, int]


class Packer(Protocol):
    """Packs spool files that are complete while others are written; `load` then takes what it has packed."""

    def cut(self, size: int) -> int:
        """Give how many bytes such a file has where a kind has about `size` bytes; 0: `load` packs all of it."""

    def begin(self, path: str, size: int) -> None:
        """Begin to pack a file that has so many bytes or more, in another thread; nothing is sent."""


class Session(Protocol):
    """One connection. `lenient_json`: the engine accepts an extra comma and NaN, which JSON forbids; `tries_casts`: it
    has TRY_CAST. `row_digest`: SQL of a 64-bit number of the columns put in for `{}`, the same for the same values
    (empty: it has no quick one). `reads_files`: it loads a large local file from where it is; `reads_objects`: an
    object of S3; `packer`: packed files. `exports_to_s3`: it writes Parquet only to S3, not to a folder. `has_roles`:
    rights can be granted to a role. `owns_tables`: this user is no guest. `extra_tables` maps further tables that a
    load needs to the statements that make them, one column a line.

    Every method raises a DwhError for an error of the engine's driver, and Interrupted after a stop request."""

    lenient_json: bool
    tries_casts: bool
    row_digest: str
    reads_files: bool
    reads_objects: bool
    exports_to_s3: bool
    has_roles: bool
    owns_tables: bool
    packer: Packer | None
    extra_tables: Mapping[str, str]

    def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        """Run one statement; gives the number of rows it changed (-1: not known)."""

    def rows(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        """Run one query; gives all its rows."""

    def ask(self, sql: str, params: Sequence[object] | None = None) -> Answer:
        """Run one SELECT that a person wrote, on one state of the warehouse, and give its rows as they come.

        It can change nothing, here or elsewhere: the session takes no other statement before and none after it. Without
        `params` the text has no parameters, and a percent sign is one. Raises ConfigError for anything that is not one
        SELECT, and for SQL that the engine does not understand."""

    def stream(self, sql: str) -> Iterator[Row]:
        """Run one query in the current transaction, and give its rows in batches; no other statement comes between."""

    def columns(self, table: str) -> dict[str, str]:
        """Give the columns of one of our tables and the engine's names of their types; none if it cannot be read."""

    def contents(self) -> list[Thing]:
        """Name all things of all users, readable or not, where our tables are: the schema, or the whole DuckDB file."""

    def comments(self) -> list[Comment]:
        """Give the comments on the tables, where ours are made, on which this user may comment. Each of these tables is
        named at least once, with no text when there is none."""

    def dependents(self, tables: Sequence[str]) -> list[Thing]:
        """Name the views, in any schema, that need these tables."""

    def transaction(
        self, lock: str | None = None, patience: float = 0.0, tell: Tell = ignore
    ) -> AbstractContextManager[None]:
        """Open a transaction that commits at the end of the block and rolls back when it raises.

        Without a lock it sees one state of the warehouse, from beginning to end. `lock` names the table whose lock is
        the first statement: two loads never run at once. `tell` gets who holds it. Raises Busy after `patience` s."""

    def load(self, table: str, keys: Mapping[str, str], parts: Sequence[Part]) -> None:
        """Bulk load files of one JSON object a line into a table of text columns.

        `keys` maps JSON keys to columns; a missing key is NULL, an unknown one ignored. A part that names a file gets
        its id in column file_id. A part may be an object of S3 where the engine reads those. Raises RecordsRefused when
        a record is not such an object: the transaction is lost then."""

    def count_lines(self, paths: Sequence[str], longest: int) -> Mapping[str, int]:
        """Count the lines of local files, on all cores, by a reader that knows no JSON. The caller counts what
        is not in the answer: what may hold a NUL character, and all when a line has more than `longest` bytes."""

    def load_through(self, insert: str, table: str, keys: Mapping[str, str], parts: Sequence[Part]) -> None:
        """Run an INSERT that selects FROM such a table on the records of files. An engine may read the records straight
        from the files, so the content of the table afterwards is not defined. Raises the errors of `load`."""

    def export(self, extract: Extract, target: str) -> Iterator[Written]:
        """Write the rows of a query as Parquet below `target`, an empty folder or S3 prefix: sorted, ZSTD (Redshift:
        Snappy), times in microseconds. Gives each file when it is complete.

        It runs in the current transaction. Raises EnvironmentFailure for a target that cannot be written: remove it."""

    def write_pieces(
        self, extract: Extract, pieces: Sequence[Piece], target: str
    ) -> Generator[tuple[Piece, list[Written]], None, None]:
        """Write pieces of a table, in this order, as Parquet files directly below `target`, a folder or S3 prefix. Rows
        are sorted across the files of a piece. Compression and times: see `export`. Every file has every column of the
        query; `extract.partition_by` is ignored. Gives each piece with its files when they are complete. A server sends
        only rows of these pieces, once.

        A piece without rows has no file. Files are named `<name>-00000.parquet` and so on (Redshift:
        `<name>.000.parquet`); a file that has such a name already is overwritten (Redshift: an error). A piece of many
        rows becomes several files: of whole days, unless it is all rows or one day (Redshift: by size, no `field_ids`).
        It runs inside the current transaction. Raises the errors of `export`."""

    def grant(self, role: str, reads: Sequence[str], changes: Sequence[str] = ()) -> None:
        """Let a role, which must exist (ConfigError), read `reads`, and read, add to and delete from `changes`."""

    def wear(self, tables: Sequence[str]) -> list[Wear] | None:
        """Give the wear of these tables. None where the engine reuses room by itself, or this user may not know."""

    def tend(self, tables: Sequence[str]) -> list[str]:
        """Care for these tables after loads, in no transaction. Gives what was done or failed, in words: no error."""

    def publish(self, ours: Ours) -> Path | None:
        """Renew the copy for readers, in no transaction; gives its path, None when it is current or there is none.
        Raises EnvironmentFailure when the copy cannot be written, or its place is taken by what is not `ours`."""

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""


class Engine(Protocol):
    """One place where a warehouse can live, and its lifecycle."""

    name: str
    place: str
    patience: float  # seconds that `start` may take; conn_start.py --timeout sets it
    restores: bool = False  # `start` can bring the warehouse up from a snapshot
    snapshot: str = ""  # the name of that snapshot, or `latest`; conn_start.py --from-snapshot sets it
    another: str  # the edit of dwh.cfg that names another warehouse

    @property
    def address(self) -> Address:
        """Give a unique name of the warehouse's place: `engine`, then where it is.

        It depends on the settings alone, stays the same when the warehouse is removed and made again there, and holds
        no secret and no user. Messages show `place` instead. Raises ConfigError when the settings leave it open."""

    def check(self) -> None:
        """Raise ConfigError for settings with which `start` would end. Sends no request."""
        return

    def plan(self, action: Literal["start", "stop", "delete"], ours: Ours | None = None) -> list[Change]:
        """Say what an action would change, and change nothing. `delete` needs `ours`, and raises errors as `stop`."""

    def start(self, tell: Tell) -> list[Change]:
        """Bring the warehouse up, if it is not up already; raises Busy while another session holds it."""

    def stop(self, tell: Tell, *, delete: Ours | None = None) -> list[Change]:
        """Close the warehouse. With `delete` also remove its tables, and what `start` made if nothing else is in it.

        Raises EnvironmentFailure, and removes nothing, when the tables are not ours, or something else needs them."""

    def connect(self, trace: Callable[[Trace], None], *, read_only: bool = False) -> Session:
        """Connect to a warehouse that is up. Raises EnvironmentFailure when it is not, Busy while another holds it.

        With `read_only` it needs no right to write, others can read too, and it may read what was published last."""

    def last_word(self) -> str:
        """Give the last line of every script, however it ends: what stays up and is billed. Empty when nothing is."""
        return ""
