"""PostgreSQL 15 or newer: the warehouse is a schema on a server, and several people may read it at once."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dwh.engines import Address, Change, Engine, Extract, Tell, Thing, Trace, Written
from dwh.engines.libpq import LibpqSession, is_local, server_name
from dwh.engines.libpq_errors import server_error
from dwh.engines.postgres_catalog import COLUMNS, CONTENTS
from dwh.engines.postgres_errors import CASES, DatabaseMissing, connect_error
from dwh.engines.postgres_load import COPY_LINES, CREATE_LINES, DROP_LINES, EMPTY_LINES, Escaped, select_records
from dwh.engines.removal import Place, plan_schema, remove_from_schema
from dwh.errors import EnvironmentFailure

if TYPE_CHECKING:
    from dwh.engines.postgres_export import Rows
    from dwh.ownership import Ours
    from dwh.settings import DuckDb, Postgres
    from dwh.spool import Part

CONNECT_SECONDS = 10
COPY_BYTES = 64 * 1024  # a piece that stays in the processor's cache: a fifth faster than 1 MB
LOAD_MEMORY_KB = 128 * 1024  # a sort or hash of one load may take this much before it goes to disk
WORTH_STATISTICS = 1000  # rows
READER_SECONDS = 5.0  # that a transaction with a lock waits for each lock it needs on top
ALL_ROWS = "SELECT * FROM rows"


class PostgresEngine(Engine):
    """A schema on somebody else's server: `start` makes database and schema, `stop` drops no more than our tables, and
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
        """Say what an action would change: needs a server that answers."""
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
                # binary collation: which of two texts comes first must not depend on the server's language
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

    def connect(self, trace: Callable[[Trace], None]) -> PostgresSession:
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
        # with a CA at hand libpq would verify in the mode `require` too
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


class PostgresSession(LibpqSession):
    """One connection, all our tables in one schema. `duckdb` bounds the DuckDB that writes Parquet."""

    reads_files = True
    reads_objects = False
    exports_to_s3 = False
    duckdb: DuckDb

    def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        """Run one statement. Text columns of tables made here have binary collation, whatever the database's is; those
        of temporary ones take every length, which the rules of a record judge in bytes.

        A table that has just been filled is analyzed: without statistics the planner joins a million plays row by row.
        """
        made = _CREATE.match(sql)
        if made:
            sql = _COLLATED.sub(r'\g<0> COLLATE "C"', _WIDTH.sub("TEXT", sql) if made[1] else sql)
        changed = self._run(sql, params)[0]
        self._analyze_filled(sql, changed)
        return changed

    def columns(self, table: str) -> dict[str, str]:
        """Give the columns of a table, also of one that this user may not read."""
        return dict(self._run(COLUMNS, (self._schema, table))[1])

    def contents(self) -> list[Thing]:
        """Name all that stands in the schema."""
        return [Thing(*row) for row in self._run(CONTENTS, (self._schema, self._schema))[1]]

    @contextmanager
    def transaction(self, lock: str | None = None, patience: float = 0.0) -> Iterator[None]:
        """Open a transaction. Without a lock it sees one state of the warehouse from beginning to end."""
        self._run("BEGIN ISOLATION LEVEL READ COMMITTED" if lock else "BEGIN ISOLATION LEVEL REPEATABLE READ", ())
        try:
            self._run(_MORE_MEMORY, (f"{LOAD_MEMORY_KB}kB", LOAD_MEMORY_KB))
            self._run("SET LOCAL jit = off", ())  # each statement runs once: compiling them costs more than it saves
            if lock:
                # 0 would mean to wait for ever
                self._run(f"SET LOCAL lock_timeout = {max(1, int(patience * 1000))}", ())
                self._run(f"LOCK TABLE {lock} IN EXCLUSIVE MODE", ())
                # for readers that are in the way of a DROP; autovacuum gives way within a second
                self._run(f"SET LOCAL lock_timeout = {int(max(READER_SECONDS, patience) * 1000)}", ())
            yield
            self._commit()
        except BaseException:
            self._roll_back()
            raise

    def load(self, table: str, keys: Mapping[str, str], parts: Sequence[Part]) -> None:
        """Bulk load JSON lines: COPY takes every line as one text, SQL takes the keys out of it."""
        columns = ", ".join(keys.values())
        for records, params in self._copy_parts(table, keys, parts):
            self._run(f"INSERT INTO {table} ({columns}) {records}", params)

    def load_through(self, insert: str, table: str, keys: Mapping[str, str], parts: Sequence[Part]) -> None:
        """Run the INSERT on the keys as SQL takes them out of the lines; its table is analyzed once, at the end."""
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
        """Copy in one part after the other; gives for each the query of its records, and the parameters of that."""
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
        """Write the rows of a query as Parquet: by way of a DuckDB file in a private folder."""
        from dwh.engines.duckdb import open_file
        from dwh.engines.parquet import write_parquet
        from dwh.engines.postgres_export import Rows
        from dwh.spool_folder import private_folder

        with (
            private_folder() as folder,
            closing(open_file(self.duckdb, folder / "rows.duckdb", self._trace, str(folder))) as session,
        ):
            rows = Rows(session, self._types(extract.query), folder)
            self._copy_out(extract.query, rows)
            rows.close()
            yield from write_parquet(session, extract._replace(query=ALL_ROWS), target)

    def _types(self, query: str) -> dict[str, int]:
        def ask() -> dict[str, int]:
            with self._connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM ({query}) AS r LIMIT 0")  # noqa: S608
                return {column.name: column.type_code for column in cursor.description or ()}

        return self._waiting(ask)

    def _copy_out(self, query: str, rows: Rows) -> None:
        sql = f"COPY ({query}) TO STDOUT WITH (FORMAT csv, HEADER false, ENCODING 'UTF8')"

        def receive() -> int:
            with self._connection.cursor() as cursor:
                cursor.copy_expert(sql, rows)
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


_MORE_MEMORY = (
    "SELECT set_config('work_mem', %s, true) FROM pg_settings WHERE name = 'work_mem' AND CAST(setting AS BIGINT) < %s"
)
_CREATE = re.compile(r"\s*CREATE (TEMP )?TABLE (IF NOT EXISTS )?\w+ \(")
_FILL = re.compile(r"\s*(?:INSERT INTO|CREATE TEMP TABLE) (\w+)")
_WIDTH = re.compile(r"VARCHAR\(\d+\)")
_COLLATED = re.compile(r"VARCHAR\(\d+\)|\bTEXT\b")


def _certifi() -> str:
    import certifi

    return certifi.where()
