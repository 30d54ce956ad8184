"""P172 to P176: readers keep nobody out, read beside a load from their copy, and may be a role that can only read."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from doc_pages import blocks
from postgres_server import Make, PostgresWarehouse, Server
from warehouse import REPO, Warehouse, plays, song

from dwh.engines.duckdb import readers_copy
from dwh.terminal.errors import Busy, ConfigError, EnvironmentFailure
from promises.faults import KILLED, in_a_child, kill, run_script

READERS = {
    "sql_validate": ("sql_validate", "--only", "songplays"),
    "report": ("report", "--quick"),
    "export_lake": ("export_lake",),
    "check the lake": ("export_lake", "--check"),
    "ask": ("ask", "top-songs"),
}
COPY = "readers.duckdb"
COUNT = "SELECT COUNT(*) AS n FROM songplays"


def loaded(warehouse: Warehouse, **sections: Any) -> Warehouse:
    """Load three plays."""
    warehouse.configure(**sections)
    warehouse.write("song_data/a.json", [song()])
    warehouse.write("log_data/a.json", plays(3))
    warehouse.etl()
    return warehouse


def seen(warehouse: Warehouse) -> int:
    """Count the plays that a reader of the suite sees."""
    return int(warehouse.call("ask", "--json", COUNT).json["rows"][0]["n"])


@contextmanager
def read_by_another_program(path: Path) -> Iterator[None]:
    """Open a database file to read in another process, which has it for the block."""
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); print('open', flush=True); input()"
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as reader:
        assert reader.stdout
        assert reader.stdout.readline() == "open\n"
        yield
        reader.communicate("\n")


def test_p172_readers_are_in_nobodys_way(warehouse: Warehouse) -> None:
    """Beside another program that reads, every reader of the suite works; a load is busy."""
    loaded(warehouse)
    with read_by_another_program(warehouse.database):
        for argv in READERS.values():
            assert warehouse.call(*argv).code == 0
        with pytest.raises(Busy):
            warehouse.etl()
    warehouse.etl()


@pytest.mark.parametrize("left", ["closed", "killed"])
def test_p172_a_file_that_may_only_be_read_is_enough(warehouse: Warehouse, tmp_path: Path, left: str) -> None:
    """Readers change no byte of the file, of its folder, nor of what a killed load left beside it, and need no right
    to write there."""
    loaded(warehouse)
    if left == "killed":
        code = "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('DELETE FROM time'); os._exit(9)"
        subprocess.run([sys.executable, "-c", code, str(warehouse.database)], check=False)
    place = tmp_path / "only to read"
    place.mkdir()
    for path in warehouse.root.glob("warehouse.duckdb*"):
        if path.is_file():
            shutil.copyfile(path, place / path.name)
            (place / path.name).chmod(0o444)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in place.iterdir()}
    assert len(before) == (2 if left == "killed" else 1)
    warehouse.configure(DUCKDB={"PATH": place / "warehouse.duckdb"}, S3={"LAKE": tmp_path / "lake"})
    place.chmod(0o555)
    try:
        assert (
            warehouse.run("ask", "top-songs", command=bound_by_rights(warehouse.command("ask", "top-songs"))).code == 0
        )
        assert warehouse.call("sql_validate", "--quick", "--json").code == (1 if left == "killed" else 0)
        warehouse.call("export_lake")
    finally:
        place.chmod(0o755)
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in place.iterdir()} == before


def bound_by_rights(command: list[str]) -> list[str]:
    """Give a command to which the rights of files apply, also where root runs the tests."""
    return command if os.geteuid() else ["setpriv", "--bounding-set=-dac_override", *command]


def test_p172_what_does_not_fit_into_memory_goes_to_a_private_folder(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A reader with little memory spills into a folder of its own, which is gone afterwards; without any folder it
    still reads what fits."""
    loaded(warehouse, DUCKDB={"MEMORY_LIMIT": "100 MB"})
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    texts = "SELECT CAST(range AS VARCHAR) || repeat('x', 40) AS v FROM range(3000000) GROUP BY v"
    sql = f"SELECT COUNT(*) AS n FROM ({texts})"
    assert warehouse.call("ask", "--json", sql).json["rows"] == [{"n": 3000000}]
    assert list(temporary.iterdir()) == []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no such folder"))
    assert seen(warehouse) == 3
    with pytest.raises(EnvironmentFailure, match="MEMORY_LIMIT"):
        warehouse.call("ask", sql)


@pytest.mark.parametrize("reader", READERS)
def test_p173_a_reader_beside_a_load_reads_the_copy(warehouse: Warehouse, reader: str) -> None:
    """While a load has the file, every reader of the suite sees the last state that was published."""
    loaded(warehouse, DUCKDB={"READERS_COPY": COPY})
    if reader == "check the lake":
        warehouse.call("export_lake")
    warehouse.write("log_data/b.json", plays(4, sessionId=9))
    with warehouse.started("etl", held="before:COMMIT") as etl:
        etl.wait_for("held")
        assert warehouse.call(*READERS[reader]).code == 0
        assert seen(warehouse) == 3
        etl.release()
        assert etl.ended().code == 0
    assert seen(warehouse) == 7


def test_p173_without_a_copy_a_reader_beside_a_load_is_busy_or_waits(warehouse: Warehouse) -> None:
    """A reader ends with 4, and names the setting; with --wait it reads when the load has ended."""
    loaded(warehouse)
    warehouse.write("log_data/b.json", plays(4, sessionId=9))
    with warehouse.started("etl", held="before:COMMIT") as etl:
        etl.wait_for("held")
        done = warehouse.run("ask", COUNT)
        assert (done.code, "[DUCKDB] READERS_COPY" in done.err) == (4, True), done.err
        with warehouse.started("ask", COUNT, "--csv", "--wait", "1h") as patient:
            patient.wait_for("waiting up to")
            etl.release()
            assert patient.ended().out == "n\n7\n"
        assert etl.ended().code == 0


def test_p173_every_script_that_changes_the_warehouse_publishes(warehouse: Warehouse) -> None:
    """After a load, a forgotten file, a rebuild and --recreate the copy is the warehouse, and its owner's alone; what
    changes nothing does not write it again, a dry run not either; --delete-data removes it."""
    loaded(warehouse, DUCKDB={"READERS_COPY": COPY})
    copy = warehouse.root / COPY

    def is_current() -> bool:
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        return copy.read_bytes() == warehouse.database.read_bytes()

    assert is_current()
    inode = copy.stat().st_ino
    assert str(COPY) not in warehouse.call("etl").err
    assert copy.stat().st_ino == inode
    warehouse.write("log_data/b.json", plays(4, sessionId=9))
    copy.rename(copy.with_suffix(".old"))
    warehouse.call("etl", "--dry-run")
    assert not copy.exists()
    assert "readers: " in warehouse.call("etl").err
    assert (is_current(), seen(warehouse)) == (True, 7)
    warehouse.remove("log_data/b.json")
    warehouse.call("etl", "--forget", str(warehouse.root / "log_data/b.json"))
    assert (is_current(), seen(warehouse)) == (True, 3)
    warehouse.etl("--rebuild", "--yes")
    assert is_current()
    warehouse.call("create_tables", "--recreate", "--yes")
    assert (is_current(), seen(warehouse)) == (True, 0)
    warehouse.rows("CREATE TABLE payroll (name VARCHAR)")
    for left in (True, False):  # first our tables go from a file that stays, then the file
        said = warehouse.call("conn_close", "--delete-data", "--yes").out
        assert (f"- {copy}" in said, copy.exists(), warehouse.database.exists()) == (left, False, left)
        warehouse.rows("DROP TABLE IF EXISTS payroll")


def test_p173_the_file_stays_locked_while_it_is_copied(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that closes a file loses its locks on it. So nothing closes the file before the connection: until then
    no other program can open it to write."""
    loaded(warehouse, DUCKDB={"READERS_COPY": COPY})
    warehouse.write("log_data/b.json", plays(4, sessionId=9))
    found: list[int] = []
    real = readers_copy.ReadersCopy.renew

    def renew(copy: Any, ours: Any) -> bool:
        written = real(copy, ours)
        code = "import duckdb, sys; duckdb.connect(sys.argv[1])"
        tried = subprocess.run([sys.executable, "-c", code, str(warehouse.database)], capture_output=True, check=False)
        found.append(tried.returncode)
        assert b"Conflicting lock" in tried.stderr
        return written

    monkeypatch.setattr(readers_copy.ReadersCopy, "renew", renew)
    warehouse.etl()
    assert found == [1]
    with duckdb.connect(str(warehouse.database)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM songplays").fetchone() == (7,)


def counted(module: Any, count: Callable[[], None]) -> SimpleNamespace:
    """Give a module whose every call counts, before it and after it."""

    def call_of(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            count()
            done = real(*arguments, **named)
            count()
            return done

        return call

    names = [name for name in dir(module) if not name.startswith("__")]
    return SimpleNamespace(
        **{name: call_of(real) if callable(real := getattr(module, name)) else real for name in names}
    )


def load_and_be_killed(warehouse: Warehouse, at: int) -> int:
    """Load in a child, which is killed at so many steps of the copy (0: never); gives its exit code, or the number of
    steps there are."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1
        if steps == at:
            kill()

    def act() -> int:
        def half(source: Any, target: Any, _size: int) -> None:
            content = source.read()
            target.write(content[: len(content) // 2])
            target.flush()
            count()
            target.write(content[len(content) // 2 :])

        for name in ("os", "fcntl"):
            setattr(readers_copy, name, counted(getattr(readers_copy, name), count))
        setattr(readers_copy, "shutil", SimpleNamespace(copyfileobj=half))  # noqa: B010
        code = run_script(warehouse, "etl", "-q")
        return code if at or code else 100 + steps

    return in_a_child(act)


def test_p174_a_killed_run_leaves_the_copy_of_before_or_the_new_one(warehouse: Warehouse, tmp_path: Path) -> None:
    """Killed at each step of the copy: readers see one of the two states, whole; the next run renews it, and leaves
    nothing beside it."""
    loaded(warehouse, DUCKDB={"READERS_COPY": COPY})
    warehouse.write("log_data/b.json", plays(4, sessionId=9))
    kept = tmp_path / "before"
    kept.mkdir()
    for path in (warehouse.database, warehouse.root / COPY):
        shutil.copy2(path, kept)
    steps = load_and_be_killed(warehouse, 0) - 100
    assert steps > 15
    states = set()
    for at in range(1, steps + 1):
        for path in (warehouse.database, warehouse.root / COPY):
            shutil.copy2(kept / path.name, path)
        assert load_and_be_killed(warehouse, at) == KILLED
        states.add(seen(warehouse))
        assert warehouse.call("sql_validate", "--quick", "--only", "songplays").code == 0
        assert warehouse.etl()["files"]["new"] == 0
        assert seen(warehouse) == 7
        assert [path.name for path in warehouse.root.glob("*readers*")] == [COPY]
        assert list(warehouse.root.glob(".readers*")) == []
    assert states == {3, 7}


def test_p174_a_copy_that_cannot_be_written_is_told_and_the_load_stays(warehouse: Warehouse, tmp_path: Path) -> None:
    """Exit code 3 names the copy; what was loaded is stored, and with --json there is one object."""
    warehouse.configure(DUCKDB={"READERS_COPY": tmp_path / "no" / COPY})
    warehouse.write("log_data/a.json", plays(3))
    done = warehouse.run("etl", "--json")
    assert (done.code, done.json["error"]["kind"]) == (3, "environment")
    assert f"no/{COPY} cannot be written" in done.err
    assert seen(warehouse) == 3


@pytest.mark.parametrize("content", [b"Dear Ann", b"", "duckdb"], ids=["a letter", "an empty file", "another database"])
def test_p175_what_is_no_copy_is_left_as_it_is(warehouse: Warehouse, content: bytes | str) -> None:
    """In the place of the copy a file of another kind, and a database of something else, are refused and stay."""
    place = warehouse.root / COPY
    if isinstance(content, bytes):
        place.write_bytes(content)
    else:
        with duckdb.connect(str(place)) as connection:
            connection.execute("CREATE TABLE users (payroll INTEGER)")
    before = place.read_bytes()
    with pytest.raises(EnvironmentFailure, match="is not a copy of a warehouse"):
        loaded(warehouse, DUCKDB={"READERS_COPY": COPY})
    warehouse.call("conn_close", "--delete-data", "--yes")
    assert place.read_bytes() == before


def test_p175_the_copy_is_not_the_warehouse(warehouse: Warehouse) -> None:
    """READERS_COPY that names the file itself, by whatever way, is a wrong setting."""
    link = warehouse.root / "link.duckdb"
    link.symlink_to(warehouse.database)
    for named in (warehouse.database, link):
        warehouse.configure(DUCKDB={"READERS_COPY": named})
        for argv in (("etl",), ("ask", "SELECT 1")):
            with pytest.raises(ConfigError, match="READERS_COPY is the warehouse itself"):
                warehouse.call(*argv)


def test_p176_a_role_that_was_let_in_reads_the_star_and_no_more(postgres: PostgresWarehouse) -> None:
    """create_tables.py --grant-readers lets a role ask every named question; staged records stay shut, and nothing
    can be written. Again, and with --recreate, it is the same."""
    role = f'r"{postgres.schema_name}'  # a name that has to be quoted
    with postgres.server.connected() as cursor:
        cursor.execute('CREATE ROLE "{}" LOGIN'.format(role.replace('"', '""')))
    loaded(postgres)
    for flags in (("--recreate", "--yes"), ()):
        said = postgres.call("create_tables", "--grant-readers", role, *flags).out
        assert "may read" in said
        postgres.etl()
    as_reader = {"POSTGRES": {"DB_USER": role}}
    postgres.configure(**as_reader)
    assert seen(postgres) == 3
    for name in ("top-songs", "latest-arrivals", "user-levels"):
        assert postgres.call("ask", "--json", name).json["rows"]
    with pytest.raises(EnvironmentFailure, match="may not"):
        postgres.call("ask", "SELECT * FROM staging_events")
    with pytest.raises(EnvironmentFailure):
        postgres.etl()


def test_p176_a_role_that_is_not_there_and_an_engine_without_roles_are_refused(make: Make, tmp_path: Path) -> None:
    """A role is not made here; on DuckDB nothing is changed either."""
    for engine, said in (("postgres", "there is no role analyst"), ("duckdb", "duckdb has no roles")):
        warehouse = loaded(make(tmp_path / engine, engine))
        with pytest.raises(ConfigError, match=said):
            warehouse.call("create_tables", "--recreate", "--yes", "--grant-readers", "analyst")
        assert warehouse.value("SELECT COUNT(*) FROM songplays") == 3


def test_the_five_statements_of_the_page_are_enough(postgres_server: Server, tmp_path: Path) -> None:
    """As an administrator runs them, the loader can make and load everything, and the analyst can only read."""
    page = (REPO / "docs/how-to/postgresql.md").read_text(encoding="utf-8")
    (block,) = [block.text for block in blocks(page, "text") if "CREATE ROLE loader" in block.text]
    own = f"w{uuid.uuid4().hex[:12]}"
    names = ("loader", "sparkify", "readers", "analyst")
    statements = re.sub(rf"\b({'|'.join(names)})\b", rf"{own}_\1", block).split(";\n")[:-1]
    assert len(statements) == 5
    with postgres_server.connected("postgres") as cursor:
        for statement in statements:
            cursor.execute(statement)
    warehouse = PostgresWarehouse(tmp_path / "w", server=postgres_server)
    place = {"DB_NAME": f"{own}_sparkify", "DB_USER": f"{own}_loader"}
    warehouse.configure(POSTGRES=place)
    warehouse.call("conn_start")
    warehouse.call("create_tables", "--grant-readers", f"{own}_readers")
    warehouse.write("log_data/a.json", plays(3))
    warehouse.etl()
    assert warehouse.call("sql_validate").code == 0
    warehouse.configure(POSTGRES={**place, "DB_USER": f"{own}_analyst"})
    assert seen(warehouse) == 3
    for argv in (("etl",), ("create_tables", "--recreate", "--yes"), ("ask", "SELECT * FROM staging_events")):
        with pytest.raises(EnvironmentFailure):
            warehouse.call(*argv)


# The number of the format in the header of a DuckDB file. DuckDB 1.4 reads formats up to 67.
NEWEST_OF_1_4, HEADER = 67, slice(12, 20)


def test_the_file_can_be_read_by_duckdb_1_4(warehouse: Warehouse) -> None:
    """A new file has a format that older tools know, and a load keeps it; so has the copy for readers."""
    loaded(warehouse, DUCKDB={"READERS_COPY": COPY})
    for path in (warehouse.database, warehouse.root / COPY):
        assert int.from_bytes(path.read_bytes()[HEADER], "little") <= NEWEST_OF_1_4
