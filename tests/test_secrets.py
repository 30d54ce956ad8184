"""No secret is shown or stored: a canary stands in every place that holds one, and all that comes out is searched.

Each script runs at its most talkative, with --json, when all is well and when something is wrong, on each engine.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from postgres_server import Make, PostgresWarehouse, machine_binaries, machine_server
from warehouse import REPO, Result, Warehouse, event, lines, plays, song

from dwh.settings.config import load_config
from dwh.settings.sections import declared_keys, is_secret

CANARY = "CANARY-7f3"
IN_FILE = {(section, key): f"{CANARY}-{section}-{key}" for section, key in declared_keys() if is_secret(section, key)}
IN_ENVIRONMENT = {
    name: f"{CANARY}-{name}"
    for name in ("PGPASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
}
TALKATIVE = (("-vv",), ("-vv", "--json"))
# new scripts join by themselves, between the ones whose place is given
FIRST, LAST = ("conn_start", "create_tables", "etl", "sql_validate"), ("conn_close",)
ALL = sorted(path.stem for path in REPO.glob("*.py") if "warehouse_parser(" in path.read_text(encoding="utf-8"))
SCRIPTS = (*FIRST, *(name for name in ALL if name not in (*FIRST, *LAST)), *LAST)
GIVES_SECRETS_AWAY = """
import sys
import psycopg2
def connect(**given):
    raise {error}(f"could not connect with {{given}}")
psycopg2.connect = connect
sys.path.insert(0, sys.argv.pop(1))
import etl
from dwh.terminal.console import run
raise SystemExit(run(etl.main))
"""


@pytest.fixture(params=["duckdb", "postgres"])
def planted(request: pytest.FixtureRequest, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """A warehouse with some data to load, on each engine, and a canary in every secret of its settings."""
    warehouse = make(tmp_path / "w", request.param)
    warehouse.write("log_data/a.json", plays(3))
    warehouse.write("song_data/a.json", [song()])
    plant(warehouse)
    for name, value in IN_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return warehouse


def plant(warehouse: Warehouse, **sections: Mapping[str, object]) -> None:
    """Write the settings anew: the canaries, and these keys."""
    secrets: dict[str, dict[str, object]] = {}
    for (section, key), value in IN_FILE.items():
        secrets.setdefault(section, {})[key] = value
    names = {**secrets, **sections}
    warehouse.configure(**{name: {**secrets.get(name, {}), **sections.get(name, {})} for name in names})
    warehouse.config.chmod(0o600)


def run(warehouse: Warehouse, script: str, *argv: str) -> Result:
    """Run a script as talkative as it can be, also into a log file; what it says holds no secret."""
    done = warehouse.run(script, "--log-file", str(warehouse.root / "log"), *argv)
    assert CANARY not in done.out + done.err, (script, argv)
    return done


def assert_nothing_kept(warehouse: Warehouse) -> None:
    """No file of the warehouse but its settings has a secret in it, nor has a row of its tables."""
    for path in warehouse.root.rglob("*"):
        if path.is_file() and path != warehouse.config:
            assert CANARY.encode() not in path.read_bytes(), path
    assert CANARY not in repr(warehouse.dump())


def test_the_canaries_are_where_secrets_are_read(planted: Warehouse) -> None:
    """The settings hold every canary: what follows would otherwise prove nothing."""
    config = load_config(str(planted.config), {}, os.environ)
    assert {("AWS", "SECRET"), ("CLUSTER", "DB_PASSWORD"), ("POSTGRES", "DB_PASSWORD")} <= set(IN_FILE)
    for (section, key), value in IN_FILE.items():
        attribute = getattr(getattr(config, section.lower()), key.lower())
        assert attribute.reveal() == value


@pytest.mark.parametrize("talk", TALKATIVE, ids=["text", "json"])
def test_a_good_run_of_every_script_shows_no_secret(planted: Warehouse, talk: tuple[str, ...]) -> None:
    """From the first script to the last, all that is printed, logged and stored."""
    codes = {script: run(planted, script, *talk).code for script in SCRIPTS}
    assert {script: codes[script] for script in (*FIRST, *LAST)} == dict.fromkeys((*FIRST, *LAST), 0)
    assert_nothing_kept(planted)


class Refusing(BaseHTTPRequestHandler):
    """An S3 that refuses every request, and repeats the caller's key, as the real one does."""

    def do_GET(self) -> None:
        """Answer 403."""
        asked = self.headers.get("Authorization", "") + self.headers.get("x-amz-security-token", "")
        body = f"<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>{asked}</AWSAccessKeyId></Error>".encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def refusing_s3() -> Iterator[str]:
    """The address of an S3 that refuses every request."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def failures(warehouse: Warehouse, s3: str) -> Iterator[tuple[str, int]]:
    """Break one thing after the other; gives what is broken, and the exit code of etl.py."""
    warehouse.write("log_data/bad.json", lines([event(ts="noon")]))
    yield "a bad record", 1
    plant(warehouse, ETL={"MAX_LOAD_FILES": "x"})
    yield "a wrong setting", 2
    plant(warehouse, ETL={"NO_SUCH_KEY": "x"})
    yield "an unknown setting", 2
    plant(warehouse, S3={"LOG_DATA": "s3://another/bucket", "ENDPOINT_URL": s3, "REGION": "us-east-1"})
    yield "a bucket that refuses", 3
    plant(warehouse, DUCKDB={"PATH": "missing.duckdb"}, POSTGRES={"SCHEMA": "missing"})
    yield "a warehouse that is not there", 3
    if isinstance(warehouse, PostgresWarehouse):
        plant(warehouse, POSTGRES={"HOST": "127.0.0.1", "PORT": 1})
        yield "a server that is gone", 3
    plant(warehouse, WAREHOUSE={"ENGINE": "redshift"}, CLUSTER={"HOST": "127.0.0.1", "DB_PORT": 1})
    yield "a cluster that is gone", 3


def test_no_failure_shows_a_secret(planted: Warehouse, refusing_s3: str) -> None:
    """A bad record, a wrong setting, a server or a bucket that is gone: nothing that is said of it has a secret."""
    for what, code in failures(planted, refusing_s3):
        assert run(planted, "etl", "-vv", "--json").code == code, what
        run(planted, "sql_validate", "-vv", "--json")
    plant(planted)
    assert_nothing_kept(planted)


@pytest.mark.parametrize("error", ["psycopg2.OperationalError", "RuntimeError"], ids=["sorted", "a bug"])
def test_a_driver_that_gives_the_password_away_is_masked(make: Make, tmp_path: Path, error: str) -> None:
    """Should a driver write the password into its error, neither our words nor the traceback show it."""
    warehouse = make(tmp_path / "w", "postgres")
    plant(warehouse)
    code = [sys.executable, "-c", GIVES_SECRETS_AWAY.format(error=error), str(REPO)]
    done = warehouse.run("etl", command=[*code, "--config", str(warehouse.config), "-vv"])
    assert (done.code, "could not connect with" in done.err) == (70 if error == "RuntimeError" else 3, True)
    assert "Traceback" in done.err
    assert CANARY not in done.out + done.err


def test_a_wrong_password_is_not_shown(bare: Warehouse) -> None:
    """A server that refuses the password, of the settings or of PGPASSWORD, is told without it."""
    binaries = machine_binaries()
    if binaries is None:
        pytest.skip("wrong passwords are not tested here: no PostgreSQL under /usr/lib/postgresql")
    with machine_server(binaries, {}) as server:
        with server.connected("postgres") as cursor:
            cursor.execute(f"ALTER USER {server.user} PASSWORD 'another'")
        place = {"HOST": "127.0.0.1", "PORT": server.port, "DB_USER": server.user, "DB_NAME": "postgres"}
        in_file, in_environment = {"DB_PASSWORD": f"{CANARY}-file"}, {"PGPASSWORD": f"{CANARY}-environment"}
        for password, env in ((in_file, {}), ({}, in_environment)):
            bare.configure(WAREHOUSE={"ENGINE": "postgres"}, POSTGRES={**place, **password})
            for script in FIRST:
                done = bare.run(script, "-vv", "--json", env=env)
                assert (done.code, "does not let this user in" in done.err) == (3, True), done.err
                assert "password authentication failed" in done.err
                assert CANARY not in done.out + done.err
