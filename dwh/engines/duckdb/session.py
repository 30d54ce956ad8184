"""One connection to a DuckDB file."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from dwh.engines.duckdb.answer import ask, stream
from dwh.engines.duckdb.at_once import Statement, run_at_once
from dwh.engines.duckdb.catalog import COLUMNS, COMMENTS, CONTENTS, find_dependents
from dwh.engines.duckdb.errors import server_error
from dwh.engines.duckdb.parquet import write_parquet, write_pieces
from dwh.engines.duckdb.records import count_lines, select_records
from dwh.seam import Answer, Comment, Extract, Part, Piece, Row, Tell, Thing, Trace, Wear, Written, ignore
from dwh.terminal.signals import cancelled_by

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from dwh.engines.duckdb.readers_copy import ReadersCopy
    from dwh.seam import Ours, Packer
    from dwh.terminal.errors import DwhError

# Our TRIM(BOTH ' ' FROM x), for one character: the built-in one reads every character of every text (0.9 s of CPU for a
# million user agents; this 0.05 s).
_QUICK_TRIM = """
CREATE OR REPLACE TEMP MACRO trim(text, character) AS
CASE WHEN starts_with(text, character) OR ends_with(text, character)
    THEN rtrim(ltrim(text, character), character)
    ELSE text
END
"""
# DuckDB keeps the right side of a join in memory, as written; in our statements that is the narrow one. Otherwise
# DuckDB estimates that an EXISTS passes a fifth of the rows, and kept a million plays in memory to look up 15,000
# songs.
_JOIN_AS_WRITTEN = "SET disabled_optimizers = 'build_side_probe_side'"
# While records are read and judged: every value is extracted once, below the rules that use it. With filters pushed
# down, each rule would extract its values again.
_FILTER_AS_WRITTEN = "SET disabled_optimizers = 'build_side_probe_side,filter_pushdown'"


class DuckDbSession:
    """One connection to the file; while it is open no other process can open it, except that several may read.

    `readers_copy` is what `publish` renews; `at_close` is called once the connection is closed."""

    lenient_json = True
    tries_casts = True
    row_digest = "hash(hash({}))"  # twice, so that each bit depends on all bits of each column
    reads_files = True
    reads_objects = False
    exports_to_s3 = False
    has_roles = False
    owns_tables = True
    packer: Packer | None = None
    extra_tables: Mapping[str, str] = {}

    readers_copy: ReadersCopy | None = None

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        trace: Callable[[Trace], None],
        place: str,
        at_close: Callable[[], None] = lambda: None,
    ) -> None:
        self._connection = connection
        self._at_close = at_close
        self._trace = trace
        self._place = place
        self._in_transaction = False
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

    def rows_at_once(self, statements: Sequence[Statement]) -> Generator[list[Row], None, None]:
        """Run queries that take one thread each, as many at once as DuckDB has threads, and give the rows of each, in
        their order. In a transaction that may have changed something they run one after the other, and see that. Close
        the iterator to end those that still run."""
        import duckdb

        threads, to_read = self.rows(
            "SELECT current_setting('threads'), readonly FROM duckdb_databases() "
            "WHERE database_name = current_database()"
        )[0]
        if self._in_transaction and not to_read:
            yield from (self.rows(*statement) for statement in statements)
            return
        asked = [(sql.replace("%s", "?"), params) for sql, params in statements]
        with closing(run_at_once(self._connection, asked, min(int(threads), len(asked)))) as answers:
            for sql, _ in statements:
                try:
                    rows, seconds = next(answers)
                except duckdb.Error as error:
                    raise self._sort_error(error) from error
                self._trace(Trace(sql, len(rows), seconds))
                yield rows

    def ask(self, sql: str, params: Sequence[object] | None = None) -> Answer:
        """Run one SELECT: on a file that was opened to read, without a way to other files, settings or extensions."""
        return ask(self._connection, sql, params, self._sort_error)

    def stream(self, sql: str) -> Iterator[Row]:
        """Run one query, and give its rows as they come; what is traced is when they begin to come."""
        started = time.monotonic()
        rows = stream(self._connection, sql, self._sort_error)
        first = next(rows, None)
        self._trace(Trace(sql, -1, time.monotonic() - started))
        if first is not None:
            yield first
            yield from rows

    def columns(self, table: str) -> dict[str, str]:
        """Give the columns of a table."""
        return dict(self._run(COLUMNS, (table,)))

    def contents(self) -> list[Thing]:
        """Name all things in the file."""
        return [Thing(*row) for row in self._run(CONTENTS, ())]

    def comments(self) -> list[Comment]:
        """Give the comments on all tables: whoever may write to the file may comment on them."""
        return [Comment(*row) for row in self._run(COMMENTS, ())]

    def dependents(self, tables: Sequence[str]) -> list[Thing]:
        """Name the views that need these tables."""
        return find_dependents(self, tables)

    @contextmanager
    def transaction(
        self,
        lock: str | None = None,  # noqa: ARG002
        patience: float = 0.0,  # noqa: ARG002
        tell: Tell = ignore,  # noqa: ARG002
    ) -> Iterator[None]:
        """Open a transaction. Only one process has the file open, so `lock` needs no statement here."""
        self._connection.execute(_JOIN_AS_WRITTEN)  # load_through cannot reset it in a failed transaction
        self._run("BEGIN TRANSACTION", ())
        self._in_transaction = True
        try:
            yield
            self._run("COMMIT", ())
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._in_transaction = False

    def load(self, table: str, keys: Mapping[str, str], parts: Sequence[Part]) -> None:
        """Bulk load JSON lines, every value as text."""
        columns = ", ".join(f'"{column}"' for column in keys.values())
        for records, params in select_records(keys, parts):
            self.execute(f"INSERT INTO {table} ({columns}) {records}", params)

    def count_lines(self, paths: Sequence[str], longest: int) -> Mapping[str, int]:
        """Count the lines of files beside the transaction, which an error would end."""
        with self._connection.cursor() as beside:
            return count_lines(beside, paths, longest)

    def load_through(self, insert: str, table: str, keys: Mapping[str, str], parts: Sequence[Part]) -> None:
        """Run the INSERT while the files are read."""
        self._connection.execute(_FILTER_AS_WRITTEN)
        for records, params in select_records(keys, parts):
            self.execute(insert.replace(f"FROM {table}", f"FROM ({records}) AS {table}"), params)
        self._connection.execute(_JOIN_AS_WRITTEN)

    def export(self, extract: Extract, target: str) -> Iterator[Written]:
        """Write the rows of a query as Parquet."""
        return write_parquet(self, extract, target)

    def write_pieces(
        self, extract: Extract, pieces: Sequence[Piece], target: str
    ) -> Generator[tuple[Piece, list[Written]], None, None]:
        """Write pieces of a table as Parquet."""
        return write_pieces(self, extract, pieces, target)

    def grant(self, role: str, reads: Sequence[str], changes: Sequence[str] = ()) -> None:
        """DuckDB has no roles."""
        raise NotImplementedError

    def wear(self, tables: Sequence[str]) -> list[Wear] | None:  # noqa: ARG002
        """DuckDB uses the room of deleted rows again."""
        return None

    def tend(self, tables: Sequence[str]) -> list[str]:  # noqa: ARG002
        """DuckDB needs no care."""
        return []

    def publish(self, ours: Ours) -> Path | None:
        """Renew the copy for readers, from a file that holds everything."""
        if self.readers_copy is None:
            return None
        self.execute("CHECKPOINT")
        return self.readers_copy.target if self.readers_copy.renew(ours) else None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        if self.readers_copy:
            self.readers_copy.let_go()
        self._at_close()

    def _run(self, sql: str, params: Sequence[object]) -> list[Row]:
        import duckdb

        started = time.monotonic()
        try:
            with cancelled_by(self._connection.interrupt):
                rows: list[Row] = self._connection.execute(sql.replace("%s", "?"), list(params)).fetchall()
        except duckdb.Error as error:
            raise self._sort_error(error) from error
        changed = bool(rows) and sql.lstrip().startswith(("INSERT", "DELETE", "UPDATE"))
        self._trace(Trace(sql, rows[0][0] if changed else len(rows), time.monotonic() - started))
        return rows

    def _sort_error(self, error: duckdb.Error) -> DwhError:
        return server_error(error, self._place)

    def _roll_back(self) -> None:
        import duckdb

        # after some errors DuckDB has ended the transaction itself: there is nothing to roll back
        with suppress(duckdb.Error, RuntimeError):
            self._connection.execute("ROLLBACK")
        with suppress(duckdb.Error):
            self._connection.execute(_JOIN_AS_WRITTEN)  # load_through may have failed before it reset it
