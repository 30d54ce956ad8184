"""One client of the stand-in: its statements, judged, translated and run, one after another."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from redshift import wire
from redshift.dialect import translate
from redshift.evaluation import casts_alone
from redshift.load import run_copy
from redshift.refusals import UNSUPPORTED
from redshift.sql_tokens import statements_of, tokens_of
from redshift.tables import BYTES
from redshift.unload import run_unload
from redshift.users import limit_sessions
from redshift.wire import Backend, Channel, Gone, SqlError

if TYPE_CHECKING:
    from redshift.standin import RedshiftStandIn

LONGEST_STATEMENT = 16 * 1024 * 1024
PARAMETERS = {  # [G psycopg/psycopg#122, sqlalchemy#9494]: PostgreSQL 8.0.2, and no standard_conforming_strings
    "client_encoding": "UNICODE",
    "DateStyle": "ISO, MDY",
    "integer_datetimes": "on",
    "is_superuser": "on",
    "server_encoding": "UNICODE",
    "server_version": "8.0.2",
    "TimeZone": "UTC",
}


class Session:
    """One client's connection, and the connection to PostgreSQL that is its other half."""

    def __init__(self, standin: RedshiftStandIn, client: Channel, backend: Backend, database: str, user: str) -> None:
        self.standin, self.client, self.backend, self.database, self.user = standin, client, backend, database, user
        self.limit = standin.limits.get(user, 0)  # seconds without a statement; 0: none
        self._at_work = False
        # [D23] dg/PG_LAST_COPY_ID.html, PG_LAST_COPY_COUNT.html: -1 and 0 before the first
        self.numbers = dict.fromkeys(("pg_last_copy_id", "pg_last_query_id", "pg_last_unload_id"), -1)
        self.numbers |= dict.fromkeys(("pg_last_copy_count", "pg_last_unload_count"), 0) | {"version": 80002}
        self._before = dict(self.numbers)
        self._cancelled = threading.Event()
        self._deadline = math.inf
        self._no_casts: set[str] = set()

    def run(self) -> None:
        """Answer the client until it leaves."""
        with suppress(Gone):
            while True:
                kind, body = self.client.receive()
                if kind == b"X":
                    return
                if kind == b"Q":
                    self._cancelled.clear()
                    self._at_work = True
                    self._answer(body.rstrip(b"\0").decode())
                    self._at_work = False
                else:
                    self._refuse_extended(kind)

    def close(self) -> None:
        """End both halves; an open transaction is rolled back."""
        self.client.close()
        self.backend.channel.close()

    def ends_within(self, seconds: int) -> bool:
        """Tell whether the session ends when nothing is said for so long."""
        return bool(self.limit) and self.limit <= seconds and not self._at_work

    def cancel(self) -> None:
        """Cancel what runs."""
        self._cancelled.set()
        self.backend.cancel()

    def check_cancelled(self) -> None:
        """Raise SqlError when a cancel was asked for, or statement_timeout is over [D23] r_statement_timeout.html."""
        if self._cancelled.is_set() or time.monotonic() > self._deadline:
            raise SqlError("57014", "")

    def begin_copy(self) -> int:
        """Number a COPY that begins to load; its number and count are known from now on, even when it fails."""
        self.numbers["pg_last_copy_id"] = self.numbers["pg_last_query_id"]
        self.numbers["pg_last_copy_count"] = 0
        return self.numbers["pg_last_copy_id"]

    def copied(self, rows: int) -> None:
        """Remember how many rows the last COPY loaded."""
        self.numbers["pg_last_copy_count"] = rows

    def _refuse_extended(self, kind: bytes) -> None:
        """Redshift speaks the extended protocol, the stand-in does not: psycopg2 never uses it."""
        while kind != b"S":
            kind, _body = self.client.receive()
        self._fail(SqlError(UNSUPPORTED, "the stand-in speaks the simple query protocol only"), self.backend.status)

    def _answer(self, sql: str) -> None:
        self.standin.log(sql)
        before = self.backend.status
        try:
            if len(sql) > LONGEST_STATEMENT:  # [D23] dg/c_redshift-sql.html; [G] text
                raise SqlError(
                    "54000", f"Statement is too large. Statement Size: {len(sql)} bytes. Maximum Allowed: {2**24} bytes"
                )
            statements = list(statements_of(sql))
            first = [tokens_of(statement)[0].upper for statement in statements]
            self.numbers["pg_last_query_id"] = self.standin.next_query_id()
            self._remember(first)
            own = {"COPY", "UNLOAD", "TRUNCATE"} & set(first)
            if own and len(statements) > 1:
                raise SqlError(UNSUPPORTED, f"the stand-in runs {own.pop()} only as a statement of its own")
            if first == ["ALTER"] and tokens_of(statements[0])[1].upper == "USER" and before != wire.FAILED:
                limit_sessions(self, statements[0])
                self.client.send((b"C", b"ALTER USER\0"), (b"Z", self.backend.status))
            elif own and before != wire.FAILED:
                self._run_own(first[0], statements[0])
            else:
                translated = [self._translated(statement) for statement in statements]
                if before != wire.FAILED and len(translated) == 1:
                    self._try_casts(translated[0])
                if "svv_table_info" in sql and before == wire.IDLE:  # PostgreSQL counts up to a second late
                    self.backend.ask("SELECT pg_stat_force_next_flush()")
                if first[0] == "VACUUM":
                    self._vacuum(translated[0])
                else:
                    self._relay(";".join(translated))
        except SqlError as error:
            self._fail(error, before)

    def _remember(self, first: Sequence[str]) -> None:
        """A transaction that is rolled back takes the number of its COPY with it [D23] dg/PG_LAST_COPY_ID.html."""
        if self.backend.status == wire.IDLE:
            self._before = dict(self.numbers)
        elif first[:1] in (["ROLLBACK"], ["ABORT"]) or (first and self.backend.status == wire.FAILED):
            self.numbers |= {name: self._before[name] for name in ("pg_last_copy_id", "pg_last_copy_count")}

    def _run_own(self, word: str, sql: str) -> None:
        limit = int(
            self.backend.ask("SELECT setting FROM pg_settings WHERE name = 'statement_timeout'").rows[0][0] or 0
        )
        self._deadline = time.monotonic() + limit / 1000 if limit else math.inf
        if word == "TRUNCATE":
            # commits the transaction it is in, and cannot be rolled back [D23] dg/r_TRUNCATE.html
            self.backend.ask(self._translated(sql))
            if self.backend.status == wire.IN_TRANSACTION:
                self.backend.ask("COMMIT")
            self.client.send((b"C", b"TRUNCATE TABLE\0"), (b"Z", self.backend.status))
            return
        if word == "COPY":
            notices = run_copy(self, sql)
        else:
            notices = [f"UNLOAD completed, {run_unload(self, sql)} record(s) unloaded successfully."]  # [G] text
        infos = [(b"N", SqlError("00000", notice, severity="INFO").body()) for notice in notices]
        self.client.send(*infos, (b"C", word.encode() + b"\0"), (b"Z", self.backend.status))

    def _vacuum(self, sql: str) -> None:
        """Run VACUUM, of which the whole cluster runs one at a time [D23] dg/r_VACUUM_command.html; the text is [U]."""
        if not self.standin.vacuuming.acquire(blocking=False):
            raise SqlError("XX000", "VACUUM is running")
        try:
            self._relay(sql)
        finally:
            self.standin.vacuuming.release()

    def _try_casts(self, sql: str) -> None:
        """Raise SqlError for a cast that some row its statement reads would fail: no condition need come first."""
        inside = self.backend.status == wire.IN_TRANSACTION
        for query in casts_alone(sql):
            if query in self._no_casts:
                continue
            try:
                if inside:
                    self.backend.ask("SAVEPOINT casts")
                self.backend.ask(query)
                if inside:
                    self.backend.ask("RELEASE casts")
            except SqlError as error:
                if inside:
                    self.backend.ask("ROLLBACK TO casts")
                if error.code.startswith("22"):
                    raise
                self._no_casts.add(query)  # it is none that can be asked alone: an aggregate, an outer column

    def _translated(self, sql: str) -> str:
        return translate(sql, self.numbers, serverless=self.standin.serverless)

    def _relay(self, sql: str) -> None:
        self.backend.relay(sql, self.client, self._edited)

    def _edited(self, kind: bytes, body: bytes) -> tuple[bytes, bytes] | None:
        if kind == b"S":
            name = body.split(b"\0")[0].decode()
            return (kind, body) if name in PARAMETERS and name != "server_version" else None
        if kind == b"E":
            return kind, self._as_redshift(SqlError.read(body)).body()
        if kind == b"N":
            return kind, SqlError.read(body).body()
        return kind, body

    def _fail(self, error: SqlError, before: bytes) -> None:
        """Answer with an error, which ends the transaction that is open. `before` is how the transaction stood."""
        if before == wire.FAILED:
            self._relay("SELECT 1")  # answered with 25P02
            return
        if self.backend.status == wire.IN_TRANSACTION:
            with suppress(SqlError):
                self.backend.ask("SELECT 1 / 0")
        self.client.send((b"E", self._as_redshift(error).body()), (b"Z", self.backend.status))

    def _as_redshift(self, error: SqlError) -> SqlError:
        """Say what PostgreSQL refused in Redshift's words."""
        if error.code == "23514" and error.constraint.startswith(BYTES):
            length = error.constraint.removeprefix(BYTES).split("_")[0]
            return SqlError("22001", f"value too long for type character varying({length})")
        if error.code == "40001":  # [D] dg/c_serial_isolation.html, [G] text
            return SqlError("XX000", "1023", f"Serializable isolation violation: {error.message}")
        if error.code == "22P02" and "for type" in error.message:  # [G] text and code, of a CAST as of COPY
            value = error.message.partition(': "')[2].rstrip('"')
            kind = {"bigint": "Long", "integer": "Integer"}.get(error.message.split(":")[0].split()[-1], "Double")
            at = next((n for n, c in enumerate(value) if not c.isdigit()), 0)
            return SqlError("XX000", f"Invalid digit, Value '{value[at : at + 1]}', Pos {at}, Type: {kind} ")
        if error.code == "22003" and "out of range for type" in error.message:  # [G] text and code
            return SqlError("XX000", f"Overflow, {error.message}")
        if error.code == "57014":  # [G] text, of a timeout too
            return SqlError("57014", f"Query ({self.numbers['pg_last_query_id']}) cancelled on user's request")
        return SqlError(error.code, error.message, error.detail, error.severity)
