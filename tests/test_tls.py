"""TLS to a PostgreSQL server: verified unless it is this machine, and nothing in the suite turns that off.

The server is one of the machine's own (the package that the other tests use has no TLS), with a certificate by an
authority of the tests' own. Where there is none the tests are skipped, and say so.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import Server, machine_binaries, machine_server
from redshift.certificates import make_certificates
from warehouse import REPO, Result, Warehouse, plays

HOST = "db.example.test"
PASSWORD = "pass-of-the-test"


@pytest.fixture(scope="module")
def binaries() -> Path:
    """The programs of a PostgreSQL with TLS."""
    found = machine_binaries()
    if found is None:
        pytest.skip("TLS is not tested here: no PostgreSQL under /usr/lib/postgresql (apt install postgresql)")
    return found


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of the authority that signed the server's; that one lies beside it."""
    return make_certificates(tmp_path_factory.mktemp("certificates"), HOST)[0]


@pytest.fixture(scope="module")
def tls_server(binaries: Path, authority: Path) -> Iterator[Server]:
    """A server that takes TCP by TLS and password only."""
    with machine_server(binaries, {}, authority.with_name("server.pem")) as server:
        with server.connected("postgres") as cursor:
            cursor.execute(f"ALTER USER {server.user} PASSWORD '{PASSWORD}'")
        yield server


def start(warehouse: Warehouse, server: Server, script: str = "conn_start", host: str = HOST, **keys: object) -> Result:
    """Run a script against the server by a name that only PGHOSTADDR leads to."""
    place = {"HOST": host, "PORT": server.port, "DB_USER": server.user, "DB_NAME": "sparkify", "SCHEMA": "tls"}
    warehouse.configure(WAREHOUSE={"ENGINE": "postgres"}, POSTGRES={**place, **keys})
    return warehouse.run(script, env={"PGHOSTADDR": "127.0.0.1", "DWH_POSTGRES_DB_PASSWORD": PASSWORD})


def assert_unsafe(done: Result, told: str) -> None:
    """The connection was refused, in our words and in libpq's, with an edit to try."""
    assert done.code == 3, done.err
    assert "the connection is not safe" in done.err
    assert told in done.err
    assert "try: [POSTGRES] SSLROOTCERT" in done.err
    assert "Traceback" not in done.err


def test_a_server_that_nobody_known_vouches_for_is_refused(bare: Warehouse, tls_server: Server) -> None:
    """By default the certificate of another machine has to be signed by one of the public authorities."""
    assert_unsafe(start(bare, tls_server), "certificate verify failed")


def test_a_server_that_our_authority_vouches_for_is_used(bare: Warehouse, tls_server: Server, authority: Path) -> None:
    """With SSLROOTCERT the whole way works, and the server says that it spoke TLS."""
    bare.write("log_data/a.json", plays(3))
    for script in ("conn_start", "create_tables", "etl", "sql_validate"):
        done = start(bare, tls_server, script, SSLROOTCERT=authority)
        assert done.code == 0, done.err
    with tls_server.connected("sparkify") as cursor:
        cursor.execute("SELECT COUNT(*) FROM tls.songplays")
        assert cursor.fetchall() == [(3,)]


def test_a_certificate_of_another_name_is_refused(bare: Warehouse, tls_server: Server, authority: Path) -> None:
    """A good certificate of db.example.test does not make another host right."""
    done = start(bare, tls_server, host="other.example.test", SSLROOTCERT=authority)
    assert_unsafe(done, 'does not match host name "other.example.test"')


def test_a_server_without_tls_is_refused(bare: Warehouse, binaries: Path) -> None:
    """By default a password never goes over the network in the clear."""
    with machine_server(binaries, {}) as server:
        assert_unsafe(start(bare, server), "server does not support SSL")


def test_require_encrypts_and_asks_nobody(bare: Warehouse, tls_server: Server) -> None:
    """SSLMODE = require is what libpq makes of it: encrypted, by whomever."""
    assert start(bare, tls_server, SSLMODE="require").code == 0


def test_a_server_that_wants_tls_gets_nothing_without(bare: Warehouse, tls_server: Server) -> None:
    """SSLMODE = disable is obeyed as well; the server refuses, and that is not taken for a server that is down."""
    done = start(bare, tls_server, SSLMODE="disable")
    assert (done.code, "does not let this user in" in done.err) == (3, True), done.err
    assert "no encryption" in done.err


# ------------------------------------------------------------------------------------------------ the text of the suite

UNVERIFIED_NAMES = {"CERT_NONE", "_create_unverified_context", "disable_warnings"}
UNVERIFIED_KEYS = {"verify", "verify_ssl", "check_hostname"}
UNVERIFIED_MODES = {"disable", "allow", "require"}


def unverified(tree: ast.AST) -> Iterator[int]:
    """Give the lines that turn verification off."""
    for node in ast.walk(tree):
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        off = (
            isinstance(node, ast.keyword | ast.Assign) and isinstance(node.value, ast.Constant) and not node.value.value
        )
        keys = [node.arg] if isinstance(node, ast.keyword) else []
        if isinstance(node, ast.Assign):
            keys = [target.attr for target in node.targets if isinstance(target, ast.Attribute)]
        mode = isinstance(node, ast.Constant) and node.value in UNVERIFIED_MODES
        if name in UNVERIFIED_NAMES or mode or (off and UNVERIFIED_KEYS & set(keys)):
            yield getattr(node, "lineno", 0)


def test_nothing_turns_verification_off() -> None:
    """No script and no module of the suite has verify=False, or another way to the same."""
    product = [*REPO.glob("*.py"), *(REPO / "dwh").rglob("*.py"), *(REPO / "star").rglob("*.py")]
    assert len(product) > 30
    found = [f"{path.name}:{line}" for path in product for line in unverified(ast.parse(path.read_text()))]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "boto3.client('s3', verify=False)",
        "context.check_hostname = False",
        "ssl.CERT_NONE",
        "connect(sslmode='require')",
    ],
)
def test_the_search_finds_what_it_is_for(text: str) -> None:
    """Each way to turn it off is found."""
    assert len(list(unverified(ast.parse(text)))) == 1
