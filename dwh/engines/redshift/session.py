"""One connection to Redshift: unchanged statements, one lock, and COPY from the files that we put into S3.

Tested against stand-ins only (tests/redshift): docs/cloud-check.md says what to check first on a real warehouse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dwh.engines.libpq import LibpqSession
from dwh.engines.lock import Holder, take_lock
from dwh.engines.pieces import select_pieces
from dwh.engines.redshift.care import Care
from dwh.engines.redshift.catalog import (
    COMMENTS,
    CONTENTS,
    ELSEWHERE,
    FIRST_LOAD_ERROR,
    HOLDER,
    HOLDER_ADDRESS,
    IDLE_LIMIT,
)
from dwh.engines.redshift.errors import sort_error
from dwh.engines.redshift.grantee import name_grantee
from dwh.engines.redshift.packing import ZstdPacker
from dwh.engines.redshift.unload import Unload
from dwh.engines.redshift.work import Upload, WorkPrefix
from dwh.seam import OUR_KEYS, Comment, Extract, Piece, Tell, Thing, Trace, Wear, Written, ignore
from dwh.sources.files import is_remote
from dwh.terminal.errors import Busy, DwhError, EnvironmentFailure, RecordsRefused

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812

    from dwh.seam import Packer, Part
    from dwh.sources.buckets import Buckets

# COPY retries unreadable objects for 15 to 30 minutes [D23 dg/copy-usage_notes-multiple-files.html].
STATEMENT_SECONDS = 3600
# A session of the admin that does nothing ends after this, so a client that has vanished loses the lock of loads. It is
# longer than on PostgreSQL, where it counts within a load only: people use this user in SQL tools.
IDLE_SECONDS = 3600
LOCK_SECONDS = 2.0  # a free lock is granted at once, but the network takes time
# LOCK blocks readers too [D23 dg/r_LOCK.html], and every session reads the ledger: so loads lock a separate table.
LOCK_TABLE = "dwh_lock"
CREATE_LOCK = """
CREATE TABLE IF NOT EXISTS dwh_lock (
    held INTEGER
)
"""


class Storage(NamedTuple):
    """The S3 places of the warehouse: `work` for COPY, the buckets for UNLOAD, and the ARN of the role for both, or
    `default`; and what packs for COPY."""

    work: Callable[[], WorkPrefix]
    buckets: Buckets
    role: str
    packer: ZstdPacker


class RedshiftSession(LibpqSession):
    """One connection, and its places in S3."""

    reads_files = False
    reads_objects = True
    exports_to_s3 = True
    dialect = "redshift"
    extra_tables: Mapping[str, str] = {LOCK_TABLE: CREATE_LOCK}

    def __init__(
        self,
        connection: PgConnection,
        trace: Callable[[Trace], None],
        schema: str,
        storage: Storage,
        place: str,
    ) -> None:
        super().__init__(connection, trace, schema, lambda error, lost: sort_error(error, place, lost=lost))
        self._storage = storage
        self.packer: Packer | None = storage.packer
        self._place = place
        self._care = Care(self._run, schema)
        self._filled: set[str] = set()
        self._temporary: set[str] = set()
        self._locked = self._swept = False
        self._limit(STATEMENT_SECONDS)

    def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        """Run one statement."""
        changed = self._run(sql, params)[0]
        if made := _TEMPORARY.match(sql):
            self._temporary.add(made[1])
        elif filled := _FILL.match(sql):
            self._filled.add(filled[1])
        return changed

    def contents(self) -> list[Thing]:
        """Name all things in the schema."""
        return [Thing(*row) for row in self._run(CONTENTS, (self._schema, self._schema))[1]]

    def comments(self) -> list[Comment]:
        """Give the comments on the tables that this user owns; of every table to a superuser."""
        return [Comment(*row) for row in self._run(COMMENTS, (self._schema,))[1]]

    def everything(self) -> list[Thing]:
        """Name the tables and views of the whole database, of all users."""
        found = self._run(ELSEWHERE, ())[1]
        return [
            Thing("view" if "VIEW" in kind else "table", name if schema == self._schema else f"{schema}.{name}")
            for kind, schema, name in found
        ]

    def make_schema(self) -> None:
        """Make the schema if it is missing. A user without the right to make one may still use an existing one."""
        if not self.has_schema():
            self.execute_alone("CREATE SCHEMA IF NOT EXISTS {}", self._schema)

    def end_idle_sessions(self, user: str) -> None:
        """Have sessions of a user end after IDLE_SECONDS without a statement, unless the user has a limit already. Only
        a superuser may do that [D dg/r_ALTER_USER.html]."""
        if not any(limit for (limit,) in self._run(IDLE_LIMIT, (user,))[1]):
            self.execute_alone(f"ALTER USER {{}} SESSION TIMEOUT {IDLE_SECONDS}", user)

    @contextmanager
    def transaction(self, lock: str | None = None, patience: float = 0.0, tell: Tell = ignore) -> Iterator[None]:
        """Open a transaction. With the default isolation, SNAPSHOT, two loads would collide silently
        [D dg/c_serial_isolation.html]: so the lock comes first, whichever table is named. Statistics
        follow the commit."""
        self._filled.clear()
        if lock:
            take_lock(self._begin_locked, self._find_holder, patience, tell)
            self._locked = True
        else:
            self._run("BEGIN", ())
        try:
            with self._kept_alive():
                yield
            self._commit()
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._locked = False
            self._storage.packer.forget()
        if lock:
            self._care.refresh(sorted(self._filled - self._temporary))

    def load(self, table: str, keys: Mapping[str, str], parts: Sequence[Part]) -> None:
        """Bulk load through WORK. COPY cuts a value longer than its column; the rules of sql_queries.py then refuse it,
        since all their limits are below the widths of these columns."""
        for part in parts:
            if is_remote(part.path):
                self._load_object(table, keys, part)
        paths = [part.path for part in parts if not is_remote(part.path) and Path(part.path).stat().st_size]
        if not paths:
            return
        work = self._work()
        with work.upload(self._storage.packer, paths, list(keys)) as upload:
            self._copy(table, list(keys.values()), upload, work.region)
            self._recount(table, keys, upload)

    def load_through(self, insert: str, table: str, keys: Mapping[str, str], parts: Sequence[Part]) -> None:
        """Load, then insert: COPY fills tables only."""
        self.load(table, keys, parts)
        self.execute(insert)

    def export(self, extract: Extract, target: str) -> Iterator[Written]:
        """Write the rows of a query as Parquet to S3."""
        return iter(self._unload.whole(extract, target))

    def write_pieces(
        self, extract: Extract, pieces: Sequence[Piece], target: str
    ) -> Generator[tuple[Piece, list[Written]], None, None]:
        """Write pieces of a table as Parquet to S3, each by a statement of its own."""
        for piece in pieces:
            query = self._bind(*select_pieces(extract, [piece]))
            yield piece, self._unload.piece(extract, query, piece, target)

    def wear(self, tables: Sequence[str]) -> list[Wear] | None:
        """Give how worn these tables are, to a superuser and whom it let see that."""
        states = self._care.look(tables)
        return None if states is None else [state.wear for state in states]

    def tend(self, tables: Sequence[str]) -> list[str]:
        """Free the room of deleted rows where they are many; tell what was done, and what failed after a load."""
        return self._care.tend(tables)

    def _grantee(self, role: str) -> str:
        """Say how GRANT names a role, or a user. Raises ConfigError when there is neither."""
        return name_grantee(self._run, role)

    @property
    def _unload(self) -> Unload:
        return Unload(self._run, self._storage.buckets, self._storage.role)

    def _work(self) -> WorkPrefix:
        """Give WORK. Whoever holds the lock of loads removes first what killed runs of this warehouse left there: no
        other run can be using it."""
        work = self._storage.work()
        if self._locked and not self._swept:
            work.remove(work.find_leftovers())
            self._swept = True
        return work

    def _load_object(self, table: str, keys: Mapping[str, str], part: Part) -> None:
        """Let the warehouse read one object of the source itself; its rows get the id of their file afterwards."""
        own = {key: column for key, column in keys.items() if not key.startswith(OUR_KEYS)}
        work = self._work()
        with work.name(part.path, list(own)) as upload:
            self._copy(table, list(own.values()), upload, work.region_of(part.path))
            (copied,) = self._run("SELECT pg_last_copy_count()", ())[1][0]
            self._find_empty(table, own, upload, "file_id IS NULL")
        bound = self._run(f"UPDATE {table} SET file_id = %s WHERE file_id IS NULL", (part.file_id,))[0]  # noqa: S608
        if bound != copied:
            raise _miscounted(table, f"{copied:,} records arrived, {bound:,} got the file id of {part.path}")

    def _copy(self, table: str, columns: Sequence[str], upload: Upload, region: str) -> None:
        """Run COPY, always in the load's transaction: outside of one it would continue after we disconnect [D23]."""
        named = self._storage.role != "default"
        sql = (
            f"COPY {table} ({', '.join(columns)}) FROM %s IAM_ROLE {'%s' if named else 'default'} "
            f"FORMAT JSON AS %s MANIFEST {upload.packing} REGION %s "
            "TRUNCATECOLUMNS COMPUPDATE OFF STATUPDATE OFF"
        )
        params = (upload.manifest, *((self._storage.role,) if named else ()), upload.jsonpaths, region)
        try:
            self._run(sql, params)
        except RecordsRefused as refused:
            self._roll_back()  # no query runs in a failed transaction
            found = self._run(FIRST_LOAD_ERROR, ())[1]
            for file, line, column, message in found:
                told = f"{str(file).strip()} line {line}, column {str(column).strip()}: {str(message).strip()}"
                raise RecordsRefused(refused.message, evidence=told, hint=refused.hint) from refused
            raise

    def _recount(self, table: str, keys: Mapping[str, str], upload: Upload) -> None:
        """Make sure that every record arrived, and under its keys: when COPY misreads its JSONPaths file, it maps by
        column name instead, and silently loads NULLs [D23]. The first column is never NULL in the records we write."""
        column = next(iter(keys.values()))
        (copied,) = self._run("SELECT pg_last_copy_count()", ())[1][0]
        (missing,) = self._run(f"SELECT COUNT(*) FROM {table} WHERE {column} IS NULL", ())[1][0]  # noqa: S608
        if copied != upload.records or missing:
            told = f"{upload.records:,} records written, {copied:,} arrived, {missing:,} without {column}"
            raise _miscounted(table, told)
        self._find_empty(table, keys, upload, "TRUE")

    def _find_empty(self, table: str, keys: Mapping[str, str], upload: Upload, which: str) -> None:
        """Make sure that no column is all NULL although its key has values: a misspelt JSONPath does that."""
        counts = ", ".join(f"COUNT({column})" for column in keys.values())
        counted = self._run(f"SELECT {counts} FROM {table} WHERE {which}", ())[1][0]  # noqa: S608
        empty = [key for key, values in zip(keys, counted, strict=True) if not values and key in upload.filled]
        if empty:
            raise _miscounted(table, f"{', '.join(empty)}: values in the source, none in the table")

    def _begin_locked(self, wait: float) -> None:
        """Begin a transaction with the lock of loads: LOCK has no NOWAIT here, so a time-out ends it."""
        try:
            self._run("BEGIN", ())
            try:
                self._limit(max(LOCK_SECONDS, wait))
                self._run(f"LOCK {LOCK_TABLE}", ())
                self._limit(STATEMENT_SECONDS)
            except BaseException:
                self._roll_back()
                raise
        except Busy:
            self._limit(STATEMENT_SECONDS)  # whether a rollback takes SET back is not documented
            raise Busy(
                f"another session is loading into {self._place}", hint="the same command again with --wait 5m"
            ) from None

    def _limit(self, limit: float) -> None:
        self._run("SET statement_timeout TO %s", (int(limit * 1000),))

    def _find_holder(self) -> Holder | None:
        """Find out who holds the lock of loads. Other users' transactions, and addresses, are shown to superusers."""
        for pid, user, since in self._run(HOLDER, (self._schema, LOCK_TABLE))[1]:
            with suppress(DwhError):
                for (address,) in self._run(HOLDER_ADDRESS, (pid,))[1]:
                    return Holder(pid, user.strip(), since, address.strip())
            return Holder(pid, user.strip(), since, "")
        return None


def _miscounted(table: str, evidence: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        f"COPY into {table} did not load everything it was given",
        evidence=(evidence, "nothing of this load was stored"),
        hint="the same command again; if it fails again, report it",
    )


_FILL = re.compile(r"\s*INSERT INTO (\w+)")
_TEMPORARY = re.compile(r"\s*CREATE TEMP TABLE (\w+)")
