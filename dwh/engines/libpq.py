"""One connection by psycopg2: the code that PostgreSQL and Redshift share."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Self, TypeVar

from dwh.engines.lock import kept_alive
from dwh.engines.one_select import BATCH, distinct_names, refuse_query, require_one_select
from dwh.seam import Answer, Row, Thing, Trace, Wear
from dwh.terminal.errors import ConfigError, DwhError, EnvironmentFailure, RecordsRefused
from dwh.terminal.signals import cancelled_by

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg2
    from psycopg2.extensions import Column
    from psycopg2.extensions import connection as PgConnection  # noqa: N812

    from dwh.seam import Ours

T = TypeVar("T")

GRANT_READ = "GRANT SELECT ON {} TO {}"
GRANT_CHANGE = "GRANT SELECT, INSERT, DELETE ON {} TO {}"
LOCAL_HOSTS = ("", "localhost", "127.0.0.1", "::1")


def is_local(host: str) -> bool:
    """Tell whether a host, or the folder of a socket, is on this machine."""
    return host.lower() in LOCAL_HOSTS or host.startswith("/")


def server_name(host: str, port: int) -> str:
    """Give a name that only this server has. A server on this machine gets the machine's name: the localhost of another
    machine is another server."""
    name = socket.gethostname() if is_local(host) else host
    return f"{name.lower().rstrip('.')}:{port}"


class LibpqSession:
    """One connection, with all our tables in one schema. `sort_error` gets an error of the server and whether it ended
    the connection, and gives our error."""

    lenient_json = tries_casts = False
    row_digest = ""
    has_roles = True
    owns_tables = True
    dialect = "postgres"  # as sqlglot calls it
    extra_tables: Mapping[str, str] = {}

    def __init__(
        self,
        connection: PgConnection,
        trace: Callable[[Trace], None],
        schema: str,
        sort_error: Callable[[psycopg2.Error, bool], DwhError],
    ) -> None:
        self._connection = connection
        self._trace = trace
        self._schema = schema
        self._sort_error = sort_error
        self._thread = ThreadPoolExecutor(1)
        connection.autocommit = True
        self.execute_alone("SET search_path TO {}", schema)
        self._run("SET timezone TO 'UTC'", ())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def user(self) -> str:
        """Name the user of the connection."""
        return str(self._connection.info.user)

    def execute_alone(self, sql: str, name: str) -> None:
        """Run one statement outside of a transaction; the quoted name replaces `{}` in its text."""
        from psycopg2.sql import SQL, Identifier

        self._run(SQL(sql).format(Identifier(name)).as_string(self._connection), ())

    def rows(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        """Run one query."""
        return self._run(sql, params)[1]

    def ask(self, sql: str, params: Sequence[object] | None = None) -> Answer:
        """Run one SELECT by a cursor of the server, in a transaction that is read only: what is not read is not sent.
        A cursor takes no statement that changes something."""
        require_one_select(sql, self.dialect)
        try:
            self._run("BEGIN READ ONLY", ())
            self._run(f"DECLARE answer CURSOR FOR {sql}", params or ())
            described, first = self._fetch("answer")
        except DwhError as error:
            raise self._own_fault(error) if params is None else error from error
        names = distinct_names([name for name, _ in described])
        return Answer(dict(zip(names, [kind for _, kind in described], strict=True)), self._batches("answer", first))

    def stream(self, sql: str) -> Iterator[Row]:
        """Run one query by a cursor of the server, in the current transaction."""
        self._run(f"DECLARE stream CURSOR FOR {sql}", ())
        yield from self._batches("stream", self._fetch("stream")[1])
        self._run("CLOSE stream", ())

    def _batches(self, cursor: str, rows: list[Row]) -> Iterator[Row]:
        while True:
            yield from rows
            if len(rows) < BATCH:
                return
            rows = self._fetch(cursor)[1]

    def _fetch(self, name: str) -> tuple[list[tuple[str, str]], list[Row]]:
        def fetch() -> tuple[list[tuple[str, str]], list[Row]]:
            with self._connection.cursor() as cursor:
                cursor.execute(f"FETCH FORWARD {BATCH} FROM {name}")
                return [(column.name, duckdb_type(column)) for column in cursor.description or ()], cursor.fetchall()

        return self._waiting(fetch)

    @staticmethod
    def _own_fault(error: DwhError) -> DwhError:
        """Give the error of a query whose own text is at fault, or the error as it is."""
        import psycopg2

        seen = error.__cause__
        if not isinstance(seen, psycopg2.Error):
            return error
        # of a record a question knows nothing: it is a value of its own that cannot be cast
        if not (isinstance(error, RecordsRefused) or (seen.pgcode or "").startswith(OWN_FAULT)):
            return error
        if seen.pgcode == READ_ONLY:
            return refuse_query("a question changes nothing", str(seen).strip().splitlines()[0])
        message, *rest = str(seen).strip().splitlines()
        return refuse_query(message.partition(":")[2].strip() or message, *rest[:3])

    def columns(self, table: str) -> dict[str, str]:
        """Give the columns of a table."""
        found = self._run(_COLUMNS, (self._schema, table))[1]
        return {name: kind if length is None else f"{kind}({length})" for name, kind, length in found}

    def has_schema(self) -> bool:
        """Tell whether the schema exists, whether or not this user may use it."""
        return bool(self._run("SELECT 1 FROM pg_namespace WHERE nspname = %s", (self._schema,))[1])

    def dependents(self, tables: Sequence[str]) -> list[Thing]:
        """Name the views that need these tables. A late-binding view of Redshift does not need them."""
        found = self._run(_DEPENDENTS, (self._schema, tuple(tables)))[1]
        named = [(schema, name, _KINDS[relkind]) for schema, name, relkind in found]
        return [Thing(kind, name if schema == self._schema else f"{schema}.{name}") for schema, name, kind in named]

    def grant(self, role: str, reads: Sequence[str], changes: Sequence[str] = ()) -> None:
        """Let a role use tables of the schema. PostgreSQL and Redshift write it alike."""
        from psycopg2.sql import SQL, Identifier

        to = SQL(self._grantee(role)).format(Identifier(role))
        usage = SQL("GRANT USAGE ON SCHEMA {} TO {}").format(Identifier(self._schema), to)
        self._run(usage.as_string(self._connection), ())
        for statement, tables in ((GRANT_READ, reads), (GRANT_CHANGE, changes)):
            if tables:
                named = SQL(", ").join(Identifier(self._schema, table) for table in tables)
                self._run(SQL(statement).format(named, to).as_string(self._connection), ())

    def _grantee(self, role: str) -> str:
        """Say how GRANT names a role. Raises ConfigError when there is none of this name."""
        if not self._run("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))[1]:
            raise ConfigError(f"there is no role {role}", hint=f"ask who runs the server for one: CREATE ROLE {role}")
        return "{}"

    def wear(self, tables: Sequence[str]) -> list[Wear] | None:  # noqa: ARG002
        """PostgreSQL's autovacuum sees to it."""
        return None

    def tend(self, tables: Sequence[str]) -> list[str]:  # noqa: ARG002
        """PostgreSQL's autovacuum sees to it."""
        return []

    def publish(self, ours: Ours) -> Path | None:  # noqa: ARG002
        """Readers see what is committed by themselves."""
        return None

    def count_lines(self, paths: Sequence[str], longest: int) -> Mapping[str, int]:  # noqa: ARG002
        """A server does not read files of this machine."""
        return {}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        self._thread.shutdown()

    def _run(self, sql: str, params: Sequence[object]) -> tuple[int, list[Row]]:
        def ask() -> tuple[int, list[Row]]:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, tuple(params) or None)
                return cursor.rowcount, cursor.fetchall() if cursor.description else []

        started = time.monotonic()
        changed, rows = self._waiting(ask)
        self._trace(Trace(sql, changed, time.monotonic() - started))
        return changed, rows

    def _bind(self, sql: str, params: Sequence[object]) -> str:
        """Give a statement with its parameters in it, for COPY and UNLOAD, whose query takes none: put there by
        psycopg2, as it does for every statement, and never by us."""
        with self._connection.cursor() as cursor:
            return cursor.mogrify(sql, tuple(params) or None).decode()

    def _waiting(self, action: Callable[[], T]) -> T:
        """Do something that blocks in libpq in another thread, so that this one gets a stop request and cancels it."""
        import psycopg2

        future = self._thread.submit(action)
        with cancelled_by(self._connection.cancel):
            wait([future])
        try:
            return future.result()
        except psycopg2.Error as error:
            raise self._sort_error(error, bool(self._connection.closed)) from error

    def _kept_alive(self) -> AbstractContextManager[None]:
        """Show the server that this client is alive, also while it reads files in between two statements."""

        def beat() -> None:
            with self._connection.cursor() as cursor:
                cursor.execute("SELECT 1")

        return kept_alive(self._thread, beat)

    def _commit(self) -> None:
        """Commit. When the connection is lost before the answer, it is not known whether the server committed."""
        try:
            self._run("COMMIT", ())
        except EnvironmentFailure as error:
            if not self._connection.closed:
                raise
            raise EnvironmentFailure(
                f"{error.message} during COMMIT: it is unknown whether this was stored",
                evidence=error.evidence[:1],
                hint="the same command again     (etl.py finds out from its ledger, and loads nothing twice)",
            ) from error

    def _roll_back(self) -> None:
        import psycopg2

        # a lost connection has no transaction
        with suppress(psycopg2.Error), self._connection.cursor() as cursor:
            cursor.execute("ROLLBACK")


def duckdb_type(column: Column) -> str:
    """Name the type of a column of an answer as DuckDB does."""
    if column.type_code == NUMERIC:
        known = column.precision is not None and column.precision <= MOST_DIGITS and column.scale is not None
        return f"DECIMAL({column.precision},{column.scale})" if known else "DOUBLE"
    return _TYPES.get(column.type_code, "VARCHAR")


# The server's numbers of types, and DuckDB's names [pg_type.dat of PostgreSQL]
_TYPES = {
    16: "BOOLEAN",
    20: "BIGINT",
    21: "SMALLINT",
    23: "INTEGER",
    700: "FLOAT",
    701: "DOUBLE",
    1082: "DATE",
    1083: "TIME",
    1114: "TIMESTAMP",
    1184: "TIMESTAMP WITH TIME ZONE",
}
NUMERIC, MOST_DIGITS = 1700, 38
# SQLSTATEs of a query that is wrong, or more than reading; not the rights of the user (42501)
READ_ONLY = "25006"
OWN_FAULT = ("0A", "22", READ_ONLY, "420", "426", "427", "428", "42P", "42601", "42883")
_KINDS = {"v": "view", "m": "materialized view"}
_COLUMNS = """
SELECT column_name, data_type, character_maximum_length
FROM information_schema.columns
WHERE table_schema = %s AND table_name = %s
ORDER BY ordinal_position
"""
# A view depends on its rule, and the rule on the tables; the catalogues of both engines show it alike.
_DEPENDENTS = """
SELECT DISTINCT h.nspname, v.relname, v.relkind
FROM pg_class AS t
JOIN pg_namespace AS n ON n.oid = t.relnamespace
JOIN pg_depend AS d ON d.refobjid = t.oid
JOIN pg_rewrite AS r ON r.oid = d.objid
JOIN pg_class AS v ON v.oid = r.ev_class
JOIN pg_namespace AS h ON h.oid = v.relnamespace
WHERE n.nspname = %s AND t.relname IN %s AND v.oid <> t.oid
ORDER BY h.nspname, v.relname
"""
