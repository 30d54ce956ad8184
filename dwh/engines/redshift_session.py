"""One connection to Redshift: statements as they stand, one lock, and COPY from what we put into S3.

Tested against stand-ins only (tests/redshift): docs/cloud-check.md says what to look at first on a real warehouse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dwh.engines import Extract, Trace, Written
from dwh.engines.libpq import LibpqSession
from dwh.engines.redshift_errors import server_error
from dwh.engines.redshift_work import Upload, WorkPrefix
from dwh.errors import Busy, EnvironmentFailure, RecordsRefused

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812

    from dwh.buckets import Buckets
    from dwh.spool import Part

# A COPY tries unreadable objects for 15 to 30 minutes [D23 dg/copy-usage_notes-multiple-files.html].
STATEMENT_SECONDS = 3600
LOCK_SECONDS = 2.0  # a free lock is given at once; the way there and back takes its time
FIRST_LOAD_ERROR = """
SELECT file_name, line_number, column_name, error_message
FROM sys_load_error_detail
WHERE query_id = pg_last_copy_id()
ORDER BY file_name, line_number
LIMIT 1
"""


class Storage(NamedTuple):
    """What the warehouse reads and writes beside itself: `work` for COPY, buckets for UNLOAD, and the ARN of the role
    that both use, or `default`."""

    work: Callable[[], WorkPrefix]
    buckets: Buckets
    role: str


class RedshiftSession(LibpqSession):
    """One connection, and the S3 beside it."""

    reads_files = False
    exports_to_s3 = True

    def __init__(
        self,
        connection: PgConnection,
        trace: Callable[[Trace], None],
        schema: str,
        storage: Storage,
        place: str,
    ) -> None:
        super().__init__(connection, trace, schema, lambda error, lost: server_error(error, place, lost=lost))
        self._storage = storage
        self._place = place
        self._filled: set[str] = set()
        self._temporary: set[str] = set()
        self._run("SET statement_timeout TO %s", (STATEMENT_SECONDS * 1000,))

    def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        """Run one statement."""
        changed = self._run(sql, params)[0]
        if made := _TEMPORARY.match(sql):
            self._temporary.add(made[1])
        elif filled := _FILL.match(sql):
            self._filled.add(filled[1])
        return changed

    @contextmanager
    def transaction(self, lock: str | None = None, patience: float = 0.0) -> Iterator[None]:
        """Open a transaction. The default isolation, SNAPSHOT, lets two loads collide without a word
        [D dg/c_serial_isolation.html]: so the lock comes first. ANALYZE follows the commit."""
        self._filled.clear()
        self._run("BEGIN", ())
        try:
            if lock:
                self._lock(lock, patience)
            yield
            self._run("COMMIT", ())
        except BaseException:
            self._roll_back()
            raise
        for table in sorted(self._filled - self._temporary) if lock else ():
            self._run(f"ANALYZE {table}", ())

    def load(self, table: str, keys: Mapping[str, str], parts: Sequence[Part]) -> None:
        """Bulk load through WORK. A value longer than its column is cut here and refused by the rules of
        sql_queries.py, whose limits are all below the widths of these columns."""
        paths = [part.path for part in parts if Path(part.path).stat().st_size]
        if not paths:
            return
        named = self._storage.role != "default"
        sql = (
            f"COPY {table} ({', '.join(keys.values())}) FROM %s IAM_ROLE {'%s' if named else 'default'} "
            "FORMAT JSON AS %s MANIFEST GZIP REGION %s TRUNCATECOLUMNS COMPUPDATE OFF STATUPDATE OFF"
        )
        work = self._storage.work()
        with work.upload(paths, list(keys)) as upload:
            role = (self._storage.role,) if named else ()
            self._copy(sql, (upload.manifest, *role, upload.jsonpaths, work.region))
            self._recount(table, next(iter(keys.values())), upload)

    def export(self, extract: Extract, target: str) -> Iterator[Written]:
        """Write the rows of a query as Parquet to S3."""
        from dwh.engines.redshift_unload import unload

        return unload(self._run, self._storage.buckets, self._storage.role, extract, target)

    def _copy(self, sql: str, params: Sequence[object]) -> None:
        """Run COPY, always in the load's transaction: outside of one it would go on after we are gone [D23]."""
        try:
            self._run(sql, params)
        except RecordsRefused as refused:
            self._roll_back()  # nothing can be asked in a transaction that has failed
            found = self._run(FIRST_LOAD_ERROR, ())[1]
            for file, line, column, message in found:
                told = f"{str(file).strip()} line {line}, column {str(column).strip()}: {str(message).strip()}"
                raise RecordsRefused(refused.message, evidence=told, hint=refused.hint) from refused
            raise

    def _recount(self, table: str, column: str, upload: Upload) -> None:
        """Make sure that every record arrived, and under its keys: COPY that misreads its JSONPaths file maps by
        column name instead, and loads NULLs without a word [D23]. The first column is never NULL in what we write."""
        (copied,) = self._run("SELECT pg_last_copy_count()", ())[1][0]
        rows, filled = self._run(f"SELECT COUNT(*), COUNT({column}) FROM {table}", ())[1][0]  # noqa: S608
        if not copied == rows == filled == upload.records:
            raise EnvironmentFailure(
                f"COPY into {table} brought {copied:,} records, {filled:,} of them with {column}; "
                f"{upload.records:,} were written",
                evidence="nothing of this load was stored",
                hint="the same command again; when it stays, report it",
            )

    def _lock(self, table: str, patience: float) -> None:
        """Lock a table, waiting no longer than asked: LOCK has no NOWAIT here, so the statement is timed."""
        wait = max(LOCK_SECONDS, patience)
        self._run("SET statement_timeout TO %s", (int(wait * 1000),))
        try:
            self._run(f"LOCK {table}", ())
        except Busy:
            raise Busy(f"somebody else is loading into {self._place}", hint="python etl.py --wait 5m") from None
        self._run("SET statement_timeout TO %s", (STATEMENT_SECONDS * 1000,))


def make_schema(connection: PgConnection, schema: str) -> None:
    """Make a schema unless it is there, and close the connection."""
    from psycopg2.sql import SQL, Identifier

    connection.autocommit = True
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(schema)))


_FILL = re.compile(r"\s*INSERT INTO (\w+)")
_TEMPORARY = re.compile(r"\s*CREATE TEMP TABLE (\w+)")
