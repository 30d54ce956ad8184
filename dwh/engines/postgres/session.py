"""One connection to PostgreSQL."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from dwh.engines.duckdb.engine import open_file
from dwh.engines.duckdb.parquet import write_parquet, write_pieces
from dwh.engines.libpq import LibpqSession
from dwh.engines.lock import VANISHED_SECONDS, Holder, take_lock
from dwh.engines.pieces import select_pieces
from dwh.engines.postgres.catalog import COLUMNS, COMMENTS, CONTENTS, HOLDER
from dwh.engines.postgres.export import Rows
from dwh.engines.postgres.load import COPY_LINES, CREATE_LINES, DROP_LINES, EMPTY_LINES, Escaped, select_records
from dwh.seam import Answer, Comment, Extract, Part, Piece, Tell, Thing, Trace, Written, ignore
from dwh.spool.folder import private_folder

if TYPE_CHECKING:
    from dwh.engines.duckdb.session import DuckDbSession
    from dwh.seam import Packer
    from dwh.settings.sections import DuckDb

COPY_BYTES = 64 * 1024  # a piece that stays in the processor's cache: a fifth faster than 1 MB
LOAD_MEMORY_KB = 128 * 1024  # a sort or hash of one load may take this much before it goes to disk
WORTH_STATISTICS = 1000  # rows
READER_SECONDS = 5.0  # a transaction with a lock waits so long for each further lock
ALL_ROWS = "SELECT * FROM rows"
_MORE_MEMORY = (
    "SELECT set_config('work_mem', %s, true) FROM pg_settings WHERE name = 'work_mem' AND CAST(setting AS BIGINT) < %s"
)
_CREATE = re.compile(r"\s*CREATE (TEMP )?TABLE (IF NOT EXISTS )?\w+ \(")
_FILL = re.compile(r"\s*(?:INSERT INTO|CREATE TEMP TABLE) (\w+)")
_WIDTH = re.compile(r"VARCHAR\(\d+\)")
_COLLATED = re.compile(r"VARCHAR\(\d+\)|\bTEXT\b")


class PostgresSession(LibpqSession):
    """One connection, with all our tables in one schema. `duckdb` limits the DuckDB that writes Parquet."""

    # of the text: hash_record_extended takes NULL for 0.0, and a sum of it stays the same when rows swap their values
    row_digest = "hashtextextended(CAST(ROW({}) AS TEXT), 0)"
    reads_files = True
    reads_objects = False
    packer: Packer | None = None
    exports_to_s3 = False
    duckdb: DuckDb

    def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        """Run one statement. Text columns of new tables get binary collation, whatever the database has. Text columns
        of temporary tables take any length: the rules of a record judge it in bytes.

        A table that was just filled is analyzed: without statistics the planner joins a million plays row by row.
        """
        made = _CREATE.match(sql)
        if made:
            sql = _COLLATED.sub(r'\g<0> COLLATE "C"', _WIDTH.sub("TEXT", sql) if made[1] else sql)
        changed = self._run(sql, params)[0]
        self._analyze_filled(sql, changed)
        return changed

    def ask(self, sql: str, params: Sequence[object] | None = None) -> Answer:
        """Run one SELECT; whatever ends the transaction, the next one is read only too."""
        self._run("SET default_transaction_read_only TO on", ())
        return super().ask(sql, params)

    def columns(self, table: str) -> dict[str, str]:
        """Give the columns of a table, also of one that this user may not read."""
        return dict(self._run(COLUMNS, (self._schema, table))[1])

    def contents(self) -> list[Thing]:
        """Name all things in the schema."""
        return [Thing(*row) for row in self._run(CONTENTS, (self._schema, self._schema))[1]]

    def comments(self) -> list[Comment]:
        """Give the comments on the tables that this user, or a role of this user, owns."""
        return [Comment(*row) for row in self._run(COMMENTS, (self._schema,))[1]]

    @contextmanager
    def transaction(self, lock: str | None = None, patience: float = 0.0, tell: Tell = ignore) -> Iterator[None]:
        """Open a transaction. Without a lock it sees one state of the warehouse from beginning to end."""
        if lock:
            take_lock(lambda wait: self._begin_locked(lock, wait), lambda: self._find_holder(lock), patience, tell)
        else:
            self._run("BEGIN ISOLATION LEVEL REPEATABLE READ", ())
        try:
            self._run(_MORE_MEMORY, (f"{LOAD_MEMORY_KB}kB", LOAD_MEMORY_KB))
            self._run("SET LOCAL jit = off", ())  # each statement runs once: compiling them costs more than it saves
            if lock:
                # for readers that block a DROP; autovacuum gives way within a second
                self._run(f"SET LOCAL lock_timeout = {int(max(READER_SECONDS, patience) * 1000)}", ())
            with self._kept_alive() if lock else nullcontext():
                yield
            self._commit()
        except BaseException:
            self._roll_back()
            raise

    def _begin_locked(self, lock: str, wait: float) -> None:
        try:
            self._run("BEGIN ISOLATION LEVEL READ COMMITTED", ())
            self._run(f"SET LOCAL idle_in_transaction_session_timeout = {VANISHED_SECONDS * 1000}", ())
            # 0 would mean to wait forever
            self._run(f"SET LOCAL lock_timeout = {max(1, int(wait * 1000))}", ())
            self._run(f"LOCK TABLE {lock} IN EXCLUSIVE MODE", ())
        except BaseException:
            self._roll_back()
            raise

    def _find_holder(self, lock: str) -> Holder | None:
        for pid, user, since, where in self._run(HOLDER, (self._schema, lock))[1]:
            return Holder(pid, user, since, where)
        return None

    def load(self, table: str, keys: Mapping[str, str], parts: Sequence[Part]) -> None:
        """Bulk load JSON lines: COPY reads every line as one text, SQL extracts the keys from it."""
        columns = ", ".join(keys.values())
        for records, params in self._copy_parts(table, keys, parts):
            self._run(f"INSERT INTO {table} ({columns}) {records}", params)

    def load_through(self, insert: str, table: str, keys: Mapping[str, str], parts: Sequence[Part]) -> None:
        """Run the INSERT on the keys that SQL extracts from the lines; its table is analyzed once, at the end."""
        added = 0
        for records, params in self._copy_parts(table, keys, parts):
            added += self._run(insert.replace(f"FROM {table}", f"FROM ({records}) AS {table}"), params)[0]
        self._analyze_filled(insert, added)

    def _analyze_filled(self, sql: str, rows: int) -> None:
        filled = _FILL.match(sql)
        if filled and rows >= WORTH_STATISTICS:
            self._run(f"ANALYZE {filled[1]}", ())

    def _copy_parts(
        self, table: str, keys: Mapping[str, str], parts: Sequence[Part]
    ) -> Iterator[tuple[str, Sequence[object]]]:
        """Copy in one part after the other; gives for each the query of its records, and its parameters."""
        if not parts:
            return
        types = self._column_types(table)
        self._run(CREATE_LINES, ())
        for part in parts:
            self._copy_lines(part.path)
            named = part.file_id is None
            yield select_records(keys, types, named=named), () if named else (part.file_id,)
            self._run(EMPTY_LINES, ())
        self._run(DROP_LINES, ())

    def export(self, extract: Extract, target: str) -> Iterator[Written]:
        """Write the rows of a query as Parquet, through a DuckDB file in a private folder."""
        with self._copy_into_duckdb(extract.query) as session:
            yield from write_parquet(session, extract._replace(query=ALL_ROWS), target)

    def write_pieces(
        self, extract: Extract, pieces: Sequence[Piece], target: str
    ) -> Generator[tuple[Piece, list[Written]], None, None]:
        """Write pieces of a table as Parquet, through one DuckDB file with the rows of all of them. One COPY for each
        piece would read the whole table each time."""
        if pieces:
            with self._copy_into_duckdb(*select_pieces(extract, pieces)) as session:
                yield from write_pieces(session, extract._replace(query=ALL_ROWS), pieces, target)

    @contextmanager
    def _copy_into_duckdb(self, query: str, params: Sequence[object] = ()) -> Iterator[DuckDbSession]:
        """Open a DuckDB file for the block whose only table, `rows`, holds the rows of a query."""
        with (
            private_folder() as folder,
            closing(open_file(self.duckdb, folder / "rows.duckdb", self._trace, str(folder))) as session,
        ):
            rows = Rows(session, self._types(query, params), folder)
            self._copy_out(query, params, rows)
            rows.close()
            yield session

    def _types(self, query: str, params: Sequence[object]) -> dict[str, int]:
        def ask() -> dict[str, int]:
            with self._connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM ({query}) AS r LIMIT 0", tuple(params) or None)  # noqa: S608
                return {column.name: column.type_code for column in cursor.description or ()}

        return self._waiting(ask)

    def _copy_out(self, query: str, params: Sequence[object], rows: Rows) -> None:
        sql = f"COPY ({query}) TO STDOUT WITH (FORMAT csv, HEADER false, ENCODING 'UTF8')"

        def receive() -> int:
            with self._connection.cursor() as cursor:
                cursor.copy_expert(self._bind(sql, params), rows)
                return int(cursor.rowcount)

        started = time.monotonic()
        number = self._waiting(receive)
        self._trace(Trace(sql, number, time.monotonic() - started))

    def _column_types(self, table: str) -> dict[str, str]:
        query = (
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = CAST(%s AS REGCLASS) AND attnum > 0 AND NOT attisdropped"
        )
        return dict(self._run(query, (table,))[1])

    def _copy_lines(self, path: str) -> None:
        def send() -> int:
            with Path(path).open("rb", buffering=0) as file, self._connection.cursor() as cursor:
                cursor.copy_expert(COPY_LINES, Escaped(file), COPY_BYTES)
                return int(cursor.rowcount)

        started = time.monotonic()
        rows = self._waiting(send)
        self._trace(Trace(COPY_LINES, rows, time.monotonic() - started))
