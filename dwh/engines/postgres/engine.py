"""PostgreSQL 15 or newer: the warehouse is a schema on a server, and several people may read it at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from dwh.engines.libpq import is_local, server_name
from dwh.engines.libpq_errors import server_error
from dwh.engines.postgres.errors import CASES, DatabaseMissing, connect_error
from dwh.engines.postgres.session import PostgresSession
from dwh.engines.removal import Place, plan_schema, remove_from_schema
from dwh.seam import Address, Change, Engine, Tell, Trace
from dwh.terminal.errors import EnvironmentFailure

if TYPE_CHECKING:
    from dwh.seam import Ours
    from dwh.settings.sections import DuckDb, Postgres

CONNECT_SECONDS = 10


class PostgresEngine(Engine):
    """A schema on a server that others use too: `start` makes database and schema; `stop` drops only our tables, and
    the schema when nothing else is in it."""

    name = "postgres"
    patience = 60.0
    another = "[POSTGRES] SCHEMA = another"

    def __init__(self, settings: Postgres, duckdb: DuckDb) -> None:
        self.settings = settings
        self._duckdb = duckdb
        self.place = f"{settings.host or 'localhost'}:{settings.port}/{settings.db_name}.{settings.schema}"

    @property
    def address(self) -> Address:
        """Name server, database and schema."""
        server, settings = server_name(self.settings.host, self.settings.port), self.settings
        return {"engine": self.name, "server": server, "database": settings.db_name, "schema": settings.schema}

    def plan(self, action: Literal["start", "stop", "delete"], ours: Ours | None = None) -> list[Change]:
        """Say what an action would change. The server must answer."""
        try:
            session = self._open(lambda _trace: None)
        except DatabaseMissing:
            made = [Change("+", f"database {self.settings.db_name}"), Change("+", f"schema {self.settings.schema}")]
            return made if action == "start" else [Change("=", f"database {self.settings.db_name} does not exist")]
        with session:
            there = session.has_schema()
            if action == "start":
                return [Change("=" if there else "+", f"schema {self.settings.schema}")]
            if not there:
                return [Change("=", f"schema {self.settings.schema} does not exist")]
            if action == "delete" and ours:
                return plan_schema(session, ours, self._schema, self.settings.schema)
        return [Change("=", f"schema {self.settings.schema}")]

    def start(self, tell: Tell) -> list[Change]:
        """Make the database and the schema where they are missing. Raises NotReady while the server does not answer."""
        changes = []
        try:
            session = self._open(lambda _trace: None)
        except DatabaseMissing:
            tell(f"making database {self.settings.db_name}")
            with self._open(lambda _trace: None, database="postgres") as maintenance:
                # binary collation: the order of texts must not depend on the server's language
                maintenance.execute_alone(
                    "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
                    self.settings.db_name,
                )
            changes.append(Change("+", f"database {self.settings.db_name}"))
            session = self._open(lambda _trace: None)
        with session:
            there = session.has_schema()
            if not there:
                session.execute_alone("CREATE SCHEMA IF NOT EXISTS {}", self.settings.schema)
        return [*changes, Change("=" if there else "+", f"schema {self.settings.schema}")]

    def stop(self, tell: Tell, *, delete: Ours | None = None) -> list[Change]:
        """Close; with `delete` drop our tables, and the schema when nothing else is in it. `public` always stays."""
        try:
            session = self._open(lambda _trace: None)
        except DatabaseMissing:
            return [Change("=", f"database {self.settings.db_name} does not exist")]
        with session:
            if not session.has_schema():
                return [Change("=", f"schema {self.settings.schema} does not exist")]
            if delete is None:
                return [Change("=", f"schema {self.settings.schema}")]
            return remove_from_schema(session, delete, self._schema, self.settings.schema, tell)

    def connect(self, trace: Callable[[Trace], None], *, read_only: bool = False) -> PostgresSession:  # noqa: ARG002
        """Connect; raises EnvironmentFailure when database or schema are missing."""
        try:
            session = self._open(trace)
        except DatabaseMissing as error:
            raise EnvironmentFailure(error.message, hint="python conn_start.py") from error
        if not session.has_schema():
            session.close()
            raise EnvironmentFailure(f"schema {self.settings.schema} does not exist", hint="python conn_start.py")
        return session

    @property
    def _schema(self) -> Place:
        return Place(f"schema {self.settings.schema}", self.another)

    def _open(self, trace: Callable[[Trace], None], database: str = "") -> PostgresSession:
        import psycopg2

        settings = self.settings
        local = is_local(settings.host)
        mode = settings.sslmode or ("prefer" if local else "verify-full")
        # with a CA bundle libpq would verify in the mode `require` too
        bundle = _certifi() if mode.startswith("verify-") and not local else ""
        given: dict[str, Any] = {
            "host": settings.host,
            "port": settings.port,
            "dbname": database or settings.db_name,
            "user": settings.db_user,
            "password": settings.db_password.reveal(),
            "sslmode": mode,
            "sslrootcert": settings.sslrootcert or bundle,
        }
        try:
            connection = psycopg2.connect(
                **{name: value for name, value in given.items() if value != ""},
                client_encoding="UTF8",  # whatever PGCLIENTENCODING, the role or the database say
                connect_timeout=CONNECT_SECONDS,
                keepalives=1,
                keepalives_idle=60,
                application_name="sparkify-warehouse",
            )
        except psycopg2.OperationalError as error:
            raise connect_error(error, settings, self.place) from error
        session = PostgresSession(
            connection,
            trace,
            settings.schema,
            lambda error, lost: server_error(error, self.place, "PostgreSQL", CASES, lost=lost),
        )
        session._run(
            "SET extra_float_digits TO 1", ()
        )  # every digit of a number, whatever the role or the database say
        session.duckdb = self._duckdb
        return session


def _certifi() -> str:
    import certifi

    return certifi.where()
