"""P71 to P82: values never become SQL, shell or terminal; what is written is ours alone; nothing runs from data."""

from __future__ import annotations

import ast
import os
import re
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from checker import check
from warehouse import REPO, Warehouse, event, plays, song

from dwh.settings.sections import declared_keys
from promises.faults import run_script, tell_script

EVIL = (
    "'; DROP TABLE users; --", '"; DROP TABLE users; --', "') OR ('1'='1", "%s", "%(x)s", "$1", "$$", "?", "{0}", "\\",
    "\\'; DROP TABLE users; --", "`id`", "$(touch pwned)", "${HOME}", "a;touch pwned", "/*", "*/", ":x", "a\tb", "-- x",
)  # fmt: skip


@pytest.fixture
def loaded(warehouse: Warehouse) -> Warehouse:
    """A warehouse with plays and a song in it."""
    warehouse.write("log_data/a.json", plays(3))
    warehouse.write("song_data/a.json", [song()])
    warehouse.etl()
    return warehouse


ALL_AT_ONCE = "'; DROP TABLE users; -- \" %s %(x)s $1 {0} \\ `touch pwned` $(touch pwned)"
USED_ON_DUCKDB = ("CHECKS", "DUCKDB", "ETL", "S3", "WAREHOUSE")


def try_settings(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, sections: Sequence[str], values: Sequence[str]
) -> None:
    """Give each key each value, and load and check: it is used as a value, or refused in the suite's form."""
    before = warehouse.dump()
    for section, name in declared_keys():
        if section not in sections or (section, name) == ("DUCKDB", "PATH"):  # that is another warehouse
            continue
        for value in values:
            with monkeypatch.context() as patch:
                patch.setenv(f"DWH_{section}_{name}", value)
                code, said = tell_script(warehouse, "etl", "--dry-run")
            assert code in (0, 1, 2, 3), f"[{section}] {name} = {value}: {code}"
            assert "Traceback" not in said
    assert warehouse.dump() == before


def test_p78_no_setting_becomes_sql(loaded: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key that counts on DuckDB, with everything that is evil at once."""
    try_settings(loaded, monkeypatch, USED_ON_DUCKDB, [ALL_AT_ONCE])


@pytest.mark.promises
def test_p78_no_setting_becomes_sql_whatever_it_is(loaded: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key, with every evil value."""
    try_settings(loaded, monkeypatch, sorted({section for section, _ in declared_keys()}), EVIL)


@pytest.mark.parametrize("value", EVIL)
def test_p78_no_path_of_a_database_becomes_sql(tmp_path: Path, value: str) -> None:
    """A database file of an evil name is a file of that name, or refused; nothing else comes to be."""
    warehouse = Warehouse(tmp_path / "w")
    name = value.replace("/", "_")
    warehouse.configure(DUCKDB={"PATH": name})
    before = set(os.listdir(warehouse.root))
    codes = [run_script(warehouse, script) for script in ("conn_start", "create_tables")]
    made = set(os.listdir(warehouse.root)) - before
    assert (codes, made) == (([2, 3], set()) if set(name) & set("?\\") else ([0, 0], {name}))


def test_p78_no_name_and_no_value_of_the_data_becomes_sql(warehouse: Warehouse) -> None:
    """Evil names of folders and files, evil values in each field, in good records and in bad ones: kept as they are."""
    for n, value in enumerate(EVIL):
        name = value.replace("/", "-")
        warehouse.write(f"log_data/{name}/{name}.json", [event(sessionId=n, song=value, level=value, location=value)])
        warehouse.write(f"song_data/{name}.json", [song(value, title=value, artist_name=value, artist_id=value)])
        warehouse.write(f"log_data/bad{name}.json", [{"page": value, "ts": value}])
    warehouse.etl("--on-bad-line", "quarantine")
    names = [value.replace("/", "-") for value in EVIL]
    check(warehouse, {f"log_data/bad{name}.json": b"" for name in names})
    assert warehouse.value("SELECT COUNT(DISTINCT title) FROM songplays") == len({value.strip() for value in EVIL})
    for value in EVIL:
        gone = str(warehouse.root / f"log_data/bad{value.replace('/', '-')}.json")
        Path(gone).unlink()
        warehouse.etl("--forget", gone)
    check(warehouse)


def statements_put_together(source: str) -> list[str]:
    """Find SQL that is put together from pieces: an f-string, %, + or format with a verb of SQL and a name after it."""
    found = []
    verb = re.compile(r"\b(SELECT|INSERT INTO|DELETE FROM|UPDATE|CREATE (TEMP )?TABLE|DROP|ALTER TABLE)\b[^a-z]*\b")
    for node in ast.walk(ast.parse(source)):
        put_together = (
            isinstance(node, ast.JoinedStr)
            or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod))
            or (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format")
        )
        if put_together and any(verb.search(text) for text in constants(node)):
            found.append(ast.unparse(node))
    return found


def constants(node: ast.AST) -> list[str]:
    """Give the texts within an expression."""
    return [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


OUTSIDE_OF_ENGINES = [
    path
    for path in [*REPO.glob("*.py"), *(REPO / "star").rglob("*.py"), *(REPO / "dwh").rglob("*.py")]
    if "engines" not in path.parts
]


@pytest.mark.parametrize("path", OUTSIDE_OF_ENGINES, ids=lambda path: str(path.relative_to(REPO)))
def test_p78_no_statement_is_put_together(path: Path) -> None:
    """Outside of the engines a statement is a text of sql_queries.py; only star/tables.py names a new column."""
    own = str(path.relative_to(REPO))
    allowed = {"star/tables.py": ["ALTER TABLE {table} ADD COLUMN"], "sql_queries.py": None}.get(own, [])
    if allowed is None:
        return  # its texts are put together from its own constants, and from nothing else: it imports nothing
    found = statements_put_together(path.read_text(encoding="utf-8"))
    assert [text for text in found if not any(known in text for known in allowed)] == []


@pytest.mark.parametrize(
    "source", ["f'SELECT {x}'", "'DROP TABLE ' + x", "'DELETE FROM t WHERE a = %s' % x", "'SELECT {}'.format(x)"]
)
def test_p78_a_statement_put_together_is_seen(source: str) -> None:
    """The search was seen finding each way."""
    assert statements_put_together(source)


# ----------------------------------------------------------------------------------------------------------- P80, P81


def test_p80_what_a_run_writes_is_its_owners_alone(warehouse: Warehouse) -> None:
    """While a load runs, under the widest umask, its folder is 0700 and each file in it 0600; so is a log."""
    warehouse.write("log_data/a.json", b'{"page": "Home",\n "ts": 1541105830796}\n')  # goes through a file of the spool
    warehouse.write("log_data/b.json", plays(3))
    log = warehouse.root / "etl.log"
    modes: set[tuple[bool, int]] = set()
    for place in ("open:b.json", "before:INSERT INTO staging_events", "before:COMMIT"):
        held = [sys.executable, str(REPO / "tests/promises/held.py"), place]
        script = warehouse.command("etl", "-q", "--log-file", str(log))[1:]
        with warehouse.started("etl", command=["sh", "-c", 'umask 0; exec "$@"', "sh", *held, *script]) as etl:
            etl.wait_for("held")
            found = {
                (path.is_dir(), stat.S_IMODE(path.lstat().st_mode)) for path in (warehouse.root / "tmp").rglob("*")
            }
            assert found, place
            modes |= found
            etl.process.terminate()
            assert etl.ended().code == 130
        assert os.listdir(warehouse.root / "tmp") == []
    assert modes == {(True, 0o700), (False, 0o600)}
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


TERMINAL = "\x1b[2J\x1b]0;pwned\x07\rred\x9b31m\u202e\u2028"


@pytest.mark.parametrize("flags", [(), ("-vv",), ("--json",), ("--dry-run", "-v")], ids=" ".join)
def test_p81_neither_names_nor_data_reach_the_terminal_raw(warehouse: Warehouse, flags: tuple[str, ...]) -> None:
    """Escape sequences, carriage returns and changes of direction in names and values are spelt out by both scripts."""
    warehouse.configure(CHECKS={"MAX_REJECTED": 0})
    warehouse.write(f"log_data/{TERMINAL}.json", [event(song=TERMINAL, level=TERMINAL, userId="", artist=TERMINAL)])
    warehouse.write("log_data/bad.json", [{"page": TERMINAL}])
    warehouse.write(f"song_data/{TERMINAL}/a.json", [song(TERMINAL, title=TERMINAL)])
    runs = [warehouse.run("etl", *flags), warehouse.run("etl", "--on-bad-line", "quarantine", *flags)]
    if "--dry-run" not in flags:
        runs.append(warehouse.run("sql_validate", *flags))
    for done in runs:
        shown = done.out + done.err
        assert not [character for character in TERMINAL if not character.isprintable() and character in shown]
    assert "--dry-run" in flags or runs[-1].code == 1


# ----------------------------------------------------------------------------------------------------------------- P82


def test_p82_every_dependency_is_pinned() -> None:
    """Run time and tests name one version of each package."""
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-readers.txt"):
        for line in (REPO / name).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith(("#", "-r ")):
                assert re.match(r"[\w.-]+(\[[\w,]+\])?==\d[\w.]*(; .+)?$", line), line


def test_p82_no_dependency_has_a_known_hole() -> None:
    """pip-audit, where its index answers; elsewhere a skip that says so."""
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner=off",
               "--timeout=10", "-r", str(REPO / "requirements.txt")]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("the index of known holes does not answer")
    said = done.stdout + done.stderr
    if "could not be audited" in said or "onnection" in said:
        pytest.skip("the index of known holes does not know these packages, or does not answer")
    assert done.returncode == 0, said
