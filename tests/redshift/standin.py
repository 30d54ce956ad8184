"""A stand-in for an Amazon Redshift cluster: its wire protocol over TLS, its refusals, COPY and UNLOAD, on PostgreSQL.

No account can be reached from here: what keeps the Redshift code honest is that this refuses what Redshift refuses.
Scripts connect to it as processes of their own, through psycopg2, exactly as to a cluster. See dialect.py, tables.py,
load.py and unload.py for what it does differently from PostgreSQL, and for what it does not imitate.

Sources are marked as in dialect.py.
"""

from __future__ import annotations

import itertools
import os
import secrets
import socket
import ssl
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg2
from postgres_server import Server
from psycopg2.extras import execute_values
from warehouse import WATCHDOG

from redshift import catalog, wire
from redshift.certificates import make_certificates
from redshift.s3 import Store, failure
from redshift.session import PARAMETERS, Session
from redshift.wire import Backend, Channel, Gone, SqlError

HOST = "sparkify-dwh.abc123xyz.us-west-2.redshift.amazonaws.com"
# Named `<workgroup>.<account>.<region>...` [D] mgmt/serverless-connecting.html.
SERVERLESS_HOST = "sparkify-dwh.123456789012.us-west-2.redshift-serverless.amazonaws.com"
MOST_FAILED_LOGINS = 5  # [D] dg/max_failed_login_attempts.html
# The default isolation is SNAPSHOT [D] dg/c_serial_isolation.html, which PostgreSQL calls REPEATABLE READ: there, too,
# the snapshot is taken by the first query, and LOCK does not take it.
OPTIONS = (
    "-c standard_conforming_strings=off -c escape_string_warning=off -c default_transaction_isolation=repeatable\\ read"
    " -c timezone=UTC -c client_min_messages=notice -c bytea_output=escape -c jit=off"
)


class RedshiftStandIn:
    """A cluster that answers on 127.0.0.1 under the name of its certificate, for as long as the block lasts.

    `statements` is every SQL text that reached it, in order; `failed_logins` counts them by user. `password` can be
    changed while it runs, as a rotation does; `add_user` makes users that are not the administrator. Under the name of
    a workgroup it is Serverless. `tickets` gives the temporary password of a name, such as IAM:ana, and the user of the
    database that signs in by it.
    """

    def __init__(
        self,
        postgres: Server,
        s3_endpoint: str,
        *,
        database: str = "dwh",
        user: str = "awsuser",
        host: str = HOST,
        region: str = "us-west-2",
        knows_role: Callable[[str], bool] = lambda _arn: True,
        tickets: Callable[[str], tuple[str, str] | None] = lambda _name: None,
    ) -> None:
        self.postgres, self.database, self.user, self.host = postgres, database, user, host
        self.serverless = ".redshift-serverless." in host
        self.password = secrets.token_urlsafe(12) + "aA1"
        self.store = Store(s3_endpoint, region)
        self.knows_role, self._tickets = knows_role, tickets
        self.vacuuming = threading.Lock()
        self.failed_logins: dict[str, int] = {}
        self.limits: dict[str, int] = {}  # of idle sessions, in seconds, by user
        self._users: dict[str, str] = {}
        self._locked: set[str] = set()
        self._statements: list[str] = []
        self._sessions: dict[int, Session] = {}
        self._threads: list[threading.Thread] = []
        self._guard = threading.Lock()
        self._query_ids = itertools.count(1001)
        self._folder = tempfile.TemporaryDirectory(prefix="redshift-stand-in-")
        self.ca_file, self._tls = make_certificates(Path(self._folder.name), host)

    def __enter__(self) -> RedshiftStandIn:
        catalog.prepare(self.postgres)
        catalog.make_database(self.postgres, self.database, self.user)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = int(self._listener.getsockname()[1])
        self._spawn(self._accept)
        return self

    def __exit__(self, *_error: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for session in list(self._sessions.values()):
            session.close()
        for thread in self._threads:
            thread.join(10)
        catalog.drop_database(self.postgres, self.database)
        self._folder.cleanup()

    @property
    def statements(self) -> list[str]:
        """Every SQL text that reached the cluster, in order."""
        with self._guard:
            return list(self._statements)

    @property
    def environment(self) -> dict[str, str]:
        """Give what a process needs besides the host's name to reach this: libpq takes the address from it."""
        return {"PGHOSTADDR": "127.0.0.1"}

    def connect(self, **changes: Any) -> Any:
        """Connect as the suite does: TLS that checks the host's name."""
        given = {"host": self.host, "hostaddr": "127.0.0.1", "port": self.port, "dbname": self.database}
        login = {"user": self.user, "password": self.password, "sslmode": "verify-full", "sslrootcert": self.ca_file}
        return psycopg2.connect(**{**given, **login, "connect_timeout": WATCHDOG, **changes})

    def add_user(self, name: str, password: str) -> None:
        """Make a user who is not the administrator: five wrong passwords in a row lock it."""
        self._users[name] = password
        self._make_role(name)

    def _make_role(self, name: str) -> None:
        with self.postgres.connected("postgres") as cursor:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,))
            if not cursor.fetchone():
                cursor.execute(f'CREATE ROLE "{name}" LOGIN')

    def wait_for_sessions(self) -> None:
        """Wait until everyone who connected has left; a session whose client was killed ends after its statement."""
        for thread in self._threads[1:]:
            thread.join()

    # ------------------------------------------------------------------------------------------- used by the sessions

    def let_pass(self, seconds: int) -> int:
        """Let time pass in which no client says anything: the sessions end whose limit it is over [D dg/r_ALTER_USER].
        Gives their number."""
        with self._guard:
            going = [session for session in self._sessions.values() if session.ends_within(seconds)]
        for session in going:
            session.close()
        return len(going)

    def log(self, sql: str) -> None:
        """Remember a SQL text."""
        with self._guard:
            self._statements.append(sql)

    def next_query_id(self) -> int:
        """Number a query."""
        return next(self._query_ids)

    def check_role(self, arn: str) -> None:
        """Raise SqlError unless the cluster may act as this role [G]."""
        if not self.knows_role(arn):
            raise failure(f"User arn:aws:redshift:dbuser:{self.user} is not authorized to assume IAM Role {arn}", arn)

    def let_in(self, user: str, answer: bytes, salt: bytes) -> str:
        """Check a password, and give the user of the database. Raises SqlError. Neither the administrator nor a
        temporary password is ever locked [D] max_failed_login_attempts.html.

        The user of an AWS identity is made when it first signs in [U]; until then it can be made by CREATE USER [D].
        """
        if ticket := self._tickets(user):
            temporary, named = ticket
            if answer != wire.md5_password(user, temporary, salt):
                raise SqlError("28P01", f'password authentication failed for user "{user}"', severity="FATAL")
            self._make_role(named)
            return named
        with self._guard:
            password = self.password if user == self.user else self._users.get(user)
            if user in self._locked:
                raise SqlError(
                    "28000", f'user "{user}" is locked: too many failed logins', severity="FATAL"
                )  # [U] text
            if password is not None and answer == wire.md5_password(user, password, salt):
                self.failed_logins[user] = 0
                return user
            self.failed_logins[user] = self.failed_logins.get(user, 0) + 1
            if user != self.user and self.failed_logins[user] >= MOST_FAILED_LOGINS:
                self._locked.add(user)
        raise SqlError("28P01", f'password authentication failed for user "{user}"', severity="FATAL")

    def record(self, database: str, **tables: Sequence[Mapping[str, Any]]) -> None:
        """Write rows into the system tables by a connection of its own, at once."""
        with self.postgres.connected(database) as cursor:
            for table, rows in tables.items():
                if not rows:
                    continue
                names = list(rows[0])
                marks = ["to_timestamp(%s) AT TIME ZONE 'UTC'" if n.endswith("_time") else "%s" for n in names]
                insert = f"INSERT INTO standin.{table} ({', '.join(names)}) VALUES %s"
                values = [tuple(row[name] for name in names) for row in rows]
                execute_values(cursor, insert, values, f"({', '.join(marks)})")

    def enter(self, session: Session) -> None:
        """Know a session by the number of its process, so that it can be cancelled."""
        with self._guard:
            self._sessions[session.backend.pid] = session

    def leave(self, session: Session) -> None:
        """Forget a session."""
        with self._guard:
            self._sessions.pop(session.backend.pid, None)

    def cancel(self, key: bytes) -> None:
        """Cancel what the session with this key runs."""
        with self._guard:
            session = self._sessions.get(struct.unpack("!i", key[:4])[0])
        if session and session.backend.key == key:
            session.cancel()

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(WATCHDOG)
        session = None
        with suppress(Gone, OSError, struct.error):
            session = self._shake_hands(client)
        if session is None:
            return
        self.enter(session)
        try:
            session.run()
        finally:
            self.leave(session)
            session.close()

    def _shake_hands(self, client: socket.socket) -> Session | None:
        """Read requests until one starts a session; None when there is none to start."""
        channel, session = Channel(client), None
        try:
            while True:
                size, code = struct.unpack("!ii", channel.exactly(8))
                body = channel.exactly(size - 8)
                if code == wire.CANCEL_REQUEST:
                    self.cancel(body)
                    return None
                if code == wire.GSS_REQUEST:
                    channel.socket.sendall(b"N")
                elif code == wire.SSL_REQUEST:
                    channel.socket.sendall(b"S")
                    channel = Channel(self._tls.wrap_socket(channel.socket, server_side=True))
                else:
                    session = self._start(channel, wire.read_startup(body))
                    return session
        finally:
            if session is None:
                channel.close()

    def _start(self, channel: Channel, startup: Mapping[str, str]) -> Session | None:
        user, database = startup.get("user", ""), startup.get("database", startup.get("user", ""))
        try:
            if not isinstance(channel.socket, ssl.SSLSocket):  # [D] default.redshift-2.0 has require_ssl; [G] text
                text = f'no pg_hba.conf entry for host "127.0.0.1", user "{user}", database "{database}", SSL off'
                raise SqlError("28000", text, severity="FATAL")
            salt = os.urandom(4)
            channel.send((b"R", struct.pack("!i", 5) + salt))
            _kind, answer = channel.receive()
            user = self.let_in(user, answer.rstrip(b"\0"), salt)
            address = f"{self.postgres.host}/.s.PGSQL.{self.postgres.port}"
            backend = Backend(address, {"user": user, "database": database, "options": OPTIONS})
        except SqlError as error:
            channel.send((b"E", error.body()))
            return None
        channel.socket.settimeout(None)
        greeting = [wire.parameter(name, value) for name, value in PARAMETERS.items()]
        named = wire.parameter("session_authorization", user)
        address, port = channel.socket.getpeername()
        entry = {"event": "initiating session", "record_time": time.time(), "remote_host": address, "remote_port": port}
        whose = {"session_id": backend.pid, "database_name": database, "user_name": user}
        self.record(database, connection_log=[{**entry, **whose}])
        channel.send((b"R", struct.pack("!i", 0)), *greeting, named, (b"K", backend.key), (b"Z", backend.status))
        return Session(self, channel, backend, database, user)
