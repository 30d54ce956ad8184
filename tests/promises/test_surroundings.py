"""P08, P47, P97: full disks, places that may not be read or written, strange paths: a named error, or handled."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from checker import check
from warehouse import LARGE, REPO, WATCHDOG, Result, Warehouse, event, lines, plays, song

from promises.faults import in_a_child, run_script, tell_script

NOBODY = 65534


def as_child(warehouse: Warehouse, script: str, *argv: str, before: Callable[[], None]) -> Result:
    """Run a script as a process of its own, in which something is done before it starts."""
    done = subprocess.run(
        warehouse.command(script, *argv),
        cwd=warehouse.root / "elsewhere",
        env=warehouse.environment({"PYTHONDONTWRITEBYTECODE": "1"}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=WATCHDOG,
        check=False,
        preexec_fn=before,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def room_for(size: int) -> Callable[[], None]:
    """Let no file of a process grow beyond a size: writes fail as on a full disk."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def told(done: Result) -> list[str]:
    """Give the lines of the error; there is one, with something to try, and no traceback."""
    assert "Traceback" not in done.err, done.err
    assert len(re.findall("^error: ", done.err, re.MULTILINE)) == 1, done.err
    shown = done.err[done.err.index("error: ") :].splitlines()
    assert any(line.startswith("  try: ") for line in shown)
    return shown


# ------------------------------------------------------------------------------------------------------- P08, full disk

LARGE_LOG = lines([event(itemInSession=n, userAgent=hashlib.sha512(b"%d" % n).hexdigest()) for n in range(5_000)])


def pretty(data: bytes) -> bytes:
    """Lay records out so that they have to go through the spool."""
    return data.replace(b", ", b",\n", 1)


@pytest.mark.parametrize("place", ["spool", "load"])
def test_p08_a_full_disk_is_told_and_nothing_is_lost(warehouse: Warehouse, place: str) -> None:
    """No room in the temporary folder, or for the database: exit code 3 names which; with room the next run goes on."""
    warehouse.write("log_data/a.json", plays(3))
    warehouse.etl()
    warehouse.write("log_data/b.json", pretty(LARGE_LOG) if place == "spool" else LARGE_LOG)
    room = 800_000 if place == "spool" else warehouse.database.stat().st_size + 64 * 1024
    done = as_child(warehouse, "etl", before=room_for(room))
    assert done.code == 3, done.err
    said = told(done)
    assert "disk is full" in said[0]
    assert ("temporary folder" if place == "spool" else "warehouse.duckdb") in said[0]
    assert "earlier loads are intact" in done.err
    check(warehouse)
    assert warehouse.value("SELECT COUNT(*) FROM loaded_files") == 1
    assert warehouse.etl()["rows"]["staging_events"] == 5_003
    check(warehouse)


def test_p08_a_full_disk_while_rejected_records_are_kept(warehouse: Warehouse) -> None:
    """No room for what quarantine sets aside: nothing of that load is stored."""
    warehouse.write("log_data/a.json", b"".join(b'{"page": "%s"}\n' % (b"x%d" % n * 3000) for n in range(800)))
    room = warehouse.database.stat().st_size + 256 * 1024
    done = as_child(warehouse, "etl", "--on-bad-line", "quarantine", before=room_for(room))
    assert (done.code, "disk is full" in told(done)[0]) == (3, True), done.err
    assert set(map(len, warehouse.dump().values())) == {0}
    assert warehouse.etl("--on-bad-line", "quarantine")["rows"]["rejected_lines"] == 800


def test_p08_a_full_disk_at_the_checkpoint(warehouse: Warehouse) -> None:
    """No room to write everything into the one file: conn_close.py says so, and the rows stay."""
    code = (  # leaves a large write-ahead log, as a killed run does
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute(\"SET wal_autocheckpoint = '1 TB'\");"
        "[c.execute(\"INSERT INTO rejected_lines SELECT 1, i, 'x', md5(i::VARCHAR) FROM range(1000) t(i)\")"
        " for _ in range(60)]; os._exit(9)"
    )
    warehouse.run("", command=[sys.executable, "-c", code, str(warehouse.database)])
    wal = warehouse.database.with_name("warehouse.duckdb.wal")
    assert wal.stat().st_size > 1_000_000
    done = as_child(warehouse, "conn_close", before=room_for(warehouse.database.stat().st_size + 64 * 1024))
    assert done.code == 3, done.err
    assert "disk is full" in told(done)[0]
    assert warehouse.value("SELECT COUNT(*) FROM rejected_lines") == 60_000
    assert warehouse.run("conn_close").code == 0


def test_p08_a_full_disk_behind_stdout_and_the_log(warehouse: Warehouse) -> None:
    """The load stays when the result cannot be printed, and that is not reported as a bug."""
    warehouse.write("log_data/a.json", plays(3))
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            warehouse.command("etl"), stdout=full, stderr=subprocess.PIPE, env=warehouse.environment(), check=False
        )
    assert (done.returncode, b"No space left" in done.stderr, b"Traceback" in done.stderr) == (3, True, False)
    assert warehouse.value("SELECT COUNT(*) FROM songplays") == 3
    log = warehouse.run("etl", "--log-file", "/dev/full")
    assert log.code == 3
    assert "No space left" in told(log)[0]


# --------------------------------------------------------------------------------- what may not be read, or written


@pytest.fixture
def guest(warehouse: Warehouse) -> Callable[..., Result]:
    """Run a script as a user who can read only public files, and write the database and the temporary folder.

    File modes do not limit root, so root becomes another user."""
    for folder in (warehouse.root, *warehouse.root.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    for path in (warehouse.root, warehouse.root / "tmp", warehouse.root / "elsewhere"):
        path.chmod(0o777)
    warehouse.database.chmod(0o666)

    said = warehouse.root / "said"
    said.touch()
    said.chmod(0o666)
    # everything a script imports, before this user may not read it any more
    assert run_script(warehouse, "etl", "--dry-run") == 0
    importlib.import_module("star.checks")

    def run(script: str, *argv: str) -> Result:
        def child() -> int:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            tempfile.tempdir = str(warehouse.root / "tmp")
            code, err = tell_script(warehouse, script, *argv)
            said.write_text(err, encoding="utf-8")
            return code

        code = in_a_child(child)
        return Result(code, "", said.read_text(encoding="utf-8"))

    return run


def test_p47_an_unreadable_file_is_named(warehouse: Warehouse, guest: Callable[..., Result]) -> None:
    """An unreadable file is exit code 3 with its name, and a command that is safe with any name."""
    warehouse.write("log_data/a.json", plays(3))
    path = warehouse.write("log_data/it's mine.json", plays(3))
    path.chmod(0)
    done = guest("etl")
    assert (done.code, str(path) in told(done)[0]) == (3, True)
    command = next(line.removeprefix("  try: ") for line in told(done) if "ls -la" in line)
    assert subprocess.run(["sh", "-c", command], capture_output=True, check=False).returncode == 0
    assert warehouse.value("SELECT COUNT(*) FROM loaded_files") == 0


def test_p47_an_unreadable_folder_is_named(warehouse: Warehouse, guest: Callable[..., Result]) -> None:
    """A folder that may not be read is never a folder without files."""
    folder = warehouse.write("log_data/private/a.json", plays(3)).parent
    folder.chmod(0)
    try:
        done = guest("etl")
    finally:
        folder.chmod(0o755)
    assert (done.code, str(folder) in told(done)[0]) == (3, True)


def test_p97_a_source_that_may_only_be_read_is_enough(warehouse: Warehouse, guest: Callable[..., Result]) -> None:
    """Loading as another user from a read-only folder writes nothing beside the source."""
    for path, records in (("log_data/a.json", plays(3)), ("song_data/a.json", [song()])):
        warehouse.write(path, records)
    warehouse.write("log_data/b.json", lines(plays(LARGE // 150, sessionId=9)))
    for folder in ("log_data", "song_data"):
        (warehouse.root / folder).chmod(0o555)
    done = guest("etl")
    assert done.code == 0, done.err
    assert guest("sql_validate").code == 0
    check(warehouse)


def test_p97_a_database_folder_that_may_not_be_written(warehouse: Warehouse, guest: Callable[..., Result]) -> None:
    """Where DuckDB may not write beside its file, the database is named, and stays as it is."""
    warehouse.write("log_data/a.json", plays(3))
    warehouse.root.chmod(0o555)
    warehouse.database.chmod(0o444)
    before = warehouse.database.read_bytes()
    done = guest("etl")
    assert (done.code, "warehouse.duckdb" in told(done)[0]) == (3, True), done.err
    assert warehouse.database.read_bytes() == before


def test_p97_a_temporary_folder_that_may_not_be_written(warehouse: Warehouse, guest: Callable[..., Result]) -> None:
    """Without a place for the spool it is a failure of the surroundings."""
    warehouse.write("log_data/a.json", plays(3))
    (warehouse.root / "tmp").chmod(0o555)
    done = guest("etl")
    assert (done.code, str(warehouse.root / "tmp") in told(done)[0]) == (3, True)


# --------------------------------------------------------------------------------------------------- P47, strange paths


@pytest.mark.parametrize("name", ["a b", 'it\'s "q"', "100%d", "s*r", "[ab]", "Zoë 🎵", "x" * 225], ids=ascii)
def test_p47_everything_may_lie_on_a_strange_path(tmp_path: Path, empty_database: Path, name: str) -> None:
    """Settings, sources and database below a folder of that name, or 900 characters deep: the same as anywhere."""
    root = tmp_path
    while len(str(root / name)) < 900 if len(name) > 200 else root == tmp_path:
        root = root / name
    warehouse = Warehouse(root).create(empty_database)
    warehouse.write(f"log_data/{name}.json", plays(3))
    warehouse.write(f"log_data/{name}{name[:9]}.json", lines(plays(LARGE // 150, sessionId=9)))
    warehouse.write(f"song_data/{name}/a.json", [song()])
    done = warehouse.run("etl")
    assert done.code == 0, done.err
    assert warehouse.run("sql_validate").code == 0
    check(warehouse)


def test_p47_a_link_to_itself_is_named(warehouse: Warehouse) -> None:
    """A link to itself, with the name of a file, is an error that names it."""
    warehouse.write("log_data/a.json", plays(3))
    link = warehouse.root / "log_data/loop.json"
    link.symlink_to(link)
    done = warehouse.run("etl")
    assert (done.code, str(link) in told(done)[0]) == (3, True)


def test_p47_a_name_that_is_not_utf8_is_named(warehouse: Warehouse) -> None:
    """A name that no column can hold is an error, spelt out."""
    Path(os.fsdecode(os.fsencode(warehouse.root) + b"/log_data/\xff.json")).write_bytes(lines([event()]))
    done = warehouse.run("etl")
    assert (done.code, "\\xff" in told(done)[0] or "udcff" in told(done)[0]) == (3, True)


@pytest.mark.parametrize("name", ["why?", "back\\slash"])
def test_p47_a_path_that_duckdb_would_misread_is_refused(tmp_path: Path, name: str) -> None:
    """DuckDB would keep its write-ahead log, or the file, elsewhere: sources may lie below it, a database not."""
    warehouse = Warehouse(tmp_path / name)
    done = warehouse.run("conn_start")
    assert (done.code, "takes no path" in told(done)[0]) == (2, True)
    assert not warehouse.database.exists()
    warehouse.write("log_data/a?\\.json", plays(3))
    warehouse.configure(DUCKDB={"PATH": tmp_path / "there.duckdb"})
    for script in ("conn_start", "create_tables", "etl"):
        assert warehouse.run(script).code == 0


def test_p97_the_suite_itself_may_lie_on_a_strange_path(warehouse: Warehouse, tmp_path: Path) -> None:
    """The scripts run from a folder with blanks, quotes and a percent sign in its name."""
    scripts = tmp_path / 'it\'s 100% "mine"'
    ignored = shutil.ignore_patterns(".*", "tests", "data", "docs", "bench", "*.duckdb", "__pycache__")
    shutil.copytree(REPO, scripts, ignore=ignored)
    warehouse.write("log_data/a.json", plays(3))
    for script in ("create_tables", "etl", "sql_validate"):
        assert warehouse.run(script, command=warehouse.command(script, scripts=scripts)).code == 0
    check(warehouse)
