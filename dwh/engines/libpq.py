"""One connection by psycopg2: the code that PostgreSQL and Redshift share."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from dwh.seam import Row, Thing, Trace
from dwh.terminal.errors import DwhError, EnvironmentFailure
from dwh.terminal.signals import cancelled_by

if TYPE_CHECKING:
    import psycopg2
    from psycopg2.extensions import connection as PgConnection  # noqa: N812

T = TypeVar("T")
S = TypeVar("S", bound="LibpqSession")


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

    lenient_json = False
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

    def __enter__(self: S) -> S:
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
